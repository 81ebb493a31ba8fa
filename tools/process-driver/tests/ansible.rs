//! The playbooks: their syntax, their style, a dry run, and each step that needs no network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use driver_testkit::skipped;
use nix::unistd::geteuid;
use tempfile::TempDir;

const VERSION: &str = "v1.16.1";
const PLAYBOOKS: [&str; 2] = ["firecracker.yml", "benchmark.yml"];

fn ansible() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ansible");
    fs::canonicalize(dir).expect("the playbooks")
}

/// Whether `program` is here; says what is skipped if not.
fn has(program: &str, test: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        let why = format!("{program} is not installed; apt-get install ansible-core ansible-lint");
        skipped(test, why);
    }
    found
}

/// Runs `program` from inside the directory of playbooks, its own files in `scratch`.
fn run(program: &str, scratch: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(ansible())
        .env("ANSIBLE_HOME", scratch.join("home"))
        .env("ANSIBLE_LOCAL_TEMP", scratch.join("local"))
        .env("ANSIBLE_REMOTE_TEMP", scratch.join("remote"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn expect(output: &Output, success: bool) -> String {
    let text = said(output);
    assert_eq!(output.status.success(), success, "{text}");
    text
}

/// A scratch directory and a release archive in it whose `firecracker` says its version; with the digest.
fn release() -> (TempDir, PathBuf, String) {
    let scratch = tempfile::tempdir().expect("a directory");
    let arch = std::env::consts::ARCH;
    let inner = format!("release-{VERSION}-{arch}");
    let dir = scratch.path().join(&inner);
    fs::create_dir(&dir).expect("made");
    for name in ["firecracker", "jailer"] {
        let path = dir.join(format!("{name}-{VERSION}-{arch}"));
        fs::write(&path, format!("#!/bin/sh\necho {name} {VERSION}\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }
    let archive = scratch.path().join("release.tgz");
    let tar = Command::new("tar")
        .args(["-C", scratch.path().to_str().expect("a path"), "-czf"])
        .arg(&archive)
        .arg(&inner)
        .status()
        .expect("tar");
    assert!(tar.success());
    let digest = digest(&archive);
    (scratch, archive, digest)
}

fn digest(file: &Path) -> String {
    let sum = Command::new("sha256sum").arg(file).output();
    let text = String::from_utf8_lossy(&sum.expect("sha256sum").stdout).into_owned();
    text.split_whitespace().next().expect("a digest").to_owned()
}

/// Runs the playbook of Firecracker with `tags` and `variables`, without becoming root.
fn firecracker(scratch: &Path, tags: &str, variables: &[String], more: &[&str]) -> Output {
    let mut arguments = vec![
        "firecracker.yml",
        "--tags",
        tags,
        "-e",
        "firecracker_become=false",
    ];
    for variable in variables {
        arguments.extend(["-e", variable]);
    }
    arguments.extend(more);
    run("ansible-playbook", scratch, &arguments)
}

#[test]
fn syntax_is_right_from_within_and_from_above() {
    if !has("ansible-playbook", "playbook syntax") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    for playbook in PLAYBOOKS {
        expect(
            &run(
                "ansible-playbook",
                scratch.path(),
                &["--syntax-check", playbook],
            ),
            true,
        );
        let above = Command::new("ansible-playbook")
            .args(["--syntax-check", &format!("ansible/{playbook}")])
            .current_dir(ansible().parent().expect("the checkout"))
            .env("ANSIBLE_HOME", scratch.path().join("home"))
            .env("ANSIBLE_LOCAL_TEMP", scratch.path().join("local"))
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("it runs");
        expect(&above, true);
    }
}

#[test]
fn the_linter_is_content() {
    if !has("ansible-lint", "playbook lint") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    let mut arguments = vec!["--offline", "--nocolor", "-q"];
    arguments.extend(PLAYBOOKS);
    expect(&run("ansible-lint", scratch.path(), &arguments), true);
}

#[test]
fn a_release_is_installed_by_digest_and_removed_again() {
    if !has("ansible-playbook", "installing a release") {
        return;
    }
    let (scratch, archive, digest) = release();
    let prefix = scratch.path().join("prefix");
    let install = |digest: &str, more: &[&str]| {
        let variables = [
            format!("firecracker_archive={}", archive.display()),
            format!("firecracker_prefix={}", prefix.display()),
            format!("firecracker_sha256={digest}"),
        ];
        firecracker(scratch.path(), "release", &variables, more)
    };
    let installed = prefix.join("bin/firecracker");
    expect(&install(&digest, &["--check"]), true);
    assert!(!prefix.exists(), "a dry run changes nothing");
    let text = expect(&install(&"0".repeat(64), &[]), false);
    assert!(text.contains("the archive's digest is"), "{text}");
    assert!(
        !installed.exists(),
        "what has another digest is not installed"
    );
    // An archive from a file without a digest to hold it against is no pinned release.
    expect(&install("", &[]), false);
    expect(&install(&digest, &[]), true);
    let version = Command::new(&installed)
        .arg("--version")
        .output()
        .expect("it runs");
    assert!(said(&version).contains(VERSION));
    let text = expect(&install(&digest, &[]), true);
    assert!(
        text.contains("changed=0"),
        "a second run changes nothing: {text}"
    );
    expect(&install(&digest, &["-e", "firecracker_state=absent"]), true);
    assert!(!installed.exists());
}

#[test]
fn a_guest_is_installed_from_files_and_a_missing_one_is_named() {
    if !has("ansible-playbook", "installing a guest") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    let (kernel, rootfs) = (
        scratch.path().join("vmlinux"),
        scratch.path().join("root.ext4"),
    );
    fs::write(&kernel, "a kernel").expect("written");
    let variables = [
        format!(
            "firecracker_prefix={}",
            scratch.path().join("prefix").display()
        ),
        format!("guest_kernel={}", kernel.display()),
        format!("guest_rootfs={}", rootfs.display()),
    ];
    let install = || firecracker(scratch.path(), "guest", &variables, &[]);
    let text = expect(&install(), false);
    assert!(text.contains("make microvm-guest"), "{text}");
    fs::write(&rootfs, "a root").expect("written");
    let text = expect(&install(), true);
    assert!(text.contains("guest_kernel_sha256="), "{text}");
    let guest = scratch.path().join("prefix/share/faasm-bench/microvm");
    assert_eq!(
        fs::read_to_string(guest.join("vmlinux-firecracker")).expect("a kernel"),
        "a kernel"
    );
    assert_eq!(
        fs::read_to_string(guest.join("rootfs.ext4")).expect("a root"),
        "a root"
    );
}

#[test]
fn downloads_are_held_against_their_digests() {
    if !has("ansible-playbook", "downloading a release and a kernel") {
        return;
    }
    // From files, by the very steps that download.
    let (scratch, archive, release_digest) = release();
    let (arch, prefix) = (std::env::consts::ARCH, scratch.path().join("prefix"));
    let releases = scratch.path().join("releases");
    fs::create_dir_all(releases.join(VERSION)).expect("made");
    let name = format!("firecracker-{VERSION}-{arch}.tgz");
    fs::copy(archive, releases.join(VERSION).join(name)).expect("copied");
    let kernel = scratch.path().join("vmlinux");
    fs::write(&kernel, "a kernel").expect("written");
    let play = |release: Option<&str>, kernel_digest: Option<&str>| {
        let mut variables = vec![
            format!("firecracker_prefix={}", prefix.display()),
            format!("firecracker_releases=file://{}", releases.display()),
            format!("guest_kernel_url=file://{}", kernel.display()),
            "guest_rootfs=".to_owned(),
        ];
        variables.extend(release.map(|digest| format!("firecracker_sha256={digest}")));
        variables.extend(kernel_digest.map(|digest| format!("guest_kernel_sha256={digest}")));
        firecracker(scratch.path(), "release,guest", &variables, &[])
    };
    let vmlinux = prefix.join("share/faasm-bench/microvm/vmlinux-firecracker");
    let firecracker = prefix.join("bin/firecracker");
    // These are not what is pinned.
    for (release, installed) in [(None, &firecracker), (Some(&*release_digest), &vmlinux)] {
        let text = expect(&play(release, None), false);
        assert!(text.contains("checksum"), "{text}");
        assert!(!installed.exists());
    }
    expect(&play(Some(&release_digest), Some(&digest(&kernel))), true);
    assert_eq!(fs::read_to_string(&vmlinux).expect("a kernel"), "a kernel");
    assert!(firecracker.exists());
}

#[test]
fn a_root_file_system_is_made_and_access_is_asked_for() {
    if !has("ansible-playbook", "making a root file system") {
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    // What would be done: the user of these tests keeps its groups.
    expect(
        &firecracker(scratch.path(), "access", &[], &["--check"]),
        true,
    );
    for (program, package) in [("musl-gcc", "musl-tools"), ("mke2fs", "e2fsprogs")] {
        let script = format!("PATH=$PATH:/usr/sbin:/sbin command -v {program}");
        let found = Command::new("sh").args(["-c", &script]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            let why = format!("no {program}; apt-get install {package}");
            skipped("making a root file system", why);
            return;
        }
    }
    let prefix = scratch.path().join("prefix");
    let kernel = scratch.path().join("vmlinux");
    fs::write(&kernel, "a kernel").expect("written");
    let variables = [
        format!("firecracker_prefix={}", prefix.display()),
        format!("guest_kernel={}", kernel.display()),
    ];
    // The user of these tests keeps its groups.
    let dry = firecracker(scratch.path(), "guest,access", &variables, &["--check"]);
    expect(&dry, true);
    assert!(!prefix.exists(), "a dry run changes nothing");
    expect(&firecracker(scratch.path(), "guest", &variables, &[]), true);
    let image = fs::read(prefix.join("share/faasm-bench/microvm/rootfs.ext4")).expect("an image");
    // The magic number of ext4's superblock.
    assert_eq!(image.get(0x438..0x43a), Some(&[0x53, 0xef][..]));
}

#[test]
fn limits_and_settings_are_written_and_put_back() {
    if !has("ansible-playbook", "provisioning a host") {
        return;
    }
    if !geteuid().is_root() {
        skipped("provisioning a host", "not root");
        return;
    }
    let scratch = tempfile::tempdir().expect("a directory");
    let root = scratch.path().join("root");
    let governors =
        [("policy0", "schedutil\n"), ("policy1", "ondemand\n")].map(|(policy, found)| {
            let policy = root.join("sys/devices/system/cpu/cpufreq").join(policy);
            fs::create_dir_all(&policy).expect("made");
            fs::write(policy.join("scaling_governor"), found).expect("written");
            (policy.join("scaling_governor"), found)
        });
    let governed = |by: Option<&str>| {
        for (file, found) in &governors {
            let now = fs::read_to_string(file).expect("a governor");
            assert_eq!(now, by.unwrap_or(found), "{}", file.display());
        }
    };
    let variable = format!("benchmark_root={}", root.display());
    let play = |more: &[&str]| {
        let mut arguments = vec![
            "benchmark.yml",
            "--tags",
            "limits,settings",
            "-e",
            &variable,
            "-e",
            "benchmark_become=false",
        ];
        arguments.extend(more);
        run("ansible-playbook", scratch.path(), &arguments)
    };
    let files = [
        root.join("etc/sysctl.d/60-faasm-bench.conf"),
        root.join("etc/security/limits.d/60-faasm-bench.conf"),
        root.join("var/lib/faasm-bench/sysctl-before.conf"),
        root.join("var/lib/faasm-bench/governors-before.json"),
    ];
    let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").expect("a setting");
    expect(&play(&["--check"]), true);
    assert!(
        files.iter().all(|file| !file.exists()),
        "a dry run changes nothing"
    );
    governed(None);
    expect(&play(&[]), true);
    governed(Some("performance\n"));
    let text = |i: usize| fs::read_to_string(&files[i]).expect("written");
    assert!(text(0).contains("kernel.perf_event_paranoid = -1"));
    assert!(text(1).contains("hard nofile 65536"));
    let before = format!("kernel.perf_event_paranoid = {}", paranoid.trim());
    assert!(text(2).contains(&before), "{}", text(2));
    let again = expect(&play(&[]), true);
    assert!(
        again.contains("changed=0"),
        "a second run changes nothing: {again}"
    );
    // What was found first is put back, whatever a later run finds.
    fs::write(&governors[0].0, "userspace\n").expect("written");
    expect(&play(&[]), true);
    governed(Some("performance\n"));
    expect(&play(&["-e", "benchmark_state=absent"]), true);
    governed(None);
    assert!(files.iter().all(|file| !file.exists()));
    // The files lay elsewhere, so the host itself was not changed.
    let now = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").expect("a setting");
    assert_eq!(now, paranoid);
}
