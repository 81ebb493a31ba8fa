//! The playbooks: their syntax, their style, a dry run, and each step that needs no network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use driver_testkit::playbooks::{directory, expect, has, run, said};
use driver_testkit::skipped;
use tempfile::TempDir;

const VERSION: &str = "v1.16.1";
const PLAYBOOKS: [&str; 3] = ["firecracker.yml", "benchmark.yml", "fleet.yml"];

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
            .current_dir(directory().parent().expect("the checkout"))
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
