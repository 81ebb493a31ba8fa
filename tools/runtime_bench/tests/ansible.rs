//! `ansible/benchmark.yml`: limits and kernel settings by itself, the quiet host by `tune`; on a host that is a tree of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use driver_testkit::playbooks::{expect, has, run};
use driver_testkit::skipped;
use nix::unistd::geteuid;
use tempfile::TempDir;

/// A host of files: each of them, what it says as it is found, and what when it is quiet.
const FILES: [(&str, &str, &str); 5] = [
    ("sys/devices/system/cpu/online", "0-1", "0-1"),
    (
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
        "schedutil",
        "performance",
    ),
    (
        "sys/devices/system/cpu/cpufreq/policy1/scaling_governor",
        "ondemand",
        "performance",
    ),
    ("sys/devices/system/cpu/smt/control", "on", "off"),
    ("proc/sys/kernel/random/boot_id", "first", "first"),
];
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

struct Host {
    scratch: TempDir,
    tool: String,
}

impl Host {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let host = Self {
            scratch,
            tool: env!("CARGO_BIN_EXE_runtime_bench").to_owned(),
        };
        for (file, found, _) in FILES {
            let path = host.path(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, format!("{found}\n")).expect("written");
        }
        host
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root().join(file)
    }

    fn play(&self, more: &[&str]) -> Output {
        let variables = [
            format!("benchmark_root={}", self.root().display()),
            format!("benchmark_tool={}", self.tool),
            "benchmark_become=false".to_owned(),
        ];
        let mut arguments = vec!["benchmark.yml", "--tags", "limits,settings,tune"];
        for variable in &variables {
            arguments.extend(["-e", variable]);
        }
        arguments.extend(more);
        run("ansible-playbook", self.scratch.path(), &arguments)
    }

    #[track_caller]
    fn expect_quiet(&self, is_quiet: bool) {
        for (file, found, quiet) in FILES {
            let now = fs::read_to_string(self.path(file)).expect("a setting");
            assert_eq!(now.trim(), if is_quiet { quiet } else { found }, "{file}");
        }
    }

    /// The files that the playbook writes, and what they hold.
    fn written(&self) -> BTreeMap<&str, Option<String>> {
        let files = [
            "etc/sysctl.d/60-faasm-bench.conf",
            "etc/security/limits.d/60-faasm-bench.conf",
            "var/lib/faasm-bench/sysctl-before.conf",
            "run/faasm-bench/tune.json",
        ];
        let content = |file| (file, fs::read_to_string(self.path(file)).ok());
        files.map(content).into()
    }

    fn nothing_is_written(&self) -> bool {
        self.written().values().all(Option::is_none)
    }
}

/// Whether a playbook can be run as the test wants it.
fn can_play(test: &str) -> bool {
    if !geteuid().is_root() {
        skipped(test, "not root, which `sysctl` of the playbook needs");
        return false;
    }
    has("ansible-playbook", test)
}

#[test]
fn limits_and_settings_are_written_and_put_back() {
    if !can_play("provisioning a host") {
        return;
    }
    let host = Host::new();
    let paranoid = fs::read_to_string(PARANOID).expect("a setting");
    expect(&host.play(&["--check"]), true);
    assert!(host.nothing_is_written(), "a dry run changes nothing");
    host.expect_quiet(false);
    expect(&host.play(&[]), true);
    host.expect_quiet(true);
    let written = host.written();
    for (file, line) in [
        (
            "etc/sysctl.d/60-faasm-bench.conf",
            "kernel.perf_event_paranoid = -1".to_owned(),
        ),
        (
            "etc/security/limits.d/60-faasm-bench.conf",
            "hard nofile 65536".to_owned(),
        ),
        (
            "var/lib/faasm-bench/sysctl-before.conf",
            format!("kernel.perf_event_paranoid = {}", paranoid.trim()),
        ),
    ] {
        let text = written[file].as_ref().expect("written");
        assert!(text.contains(&line), "{file}: {text}");
    }
    let again = expect(&host.play(&[]), true);
    assert!(
        again.contains("changed=0"),
        "a second run changes nothing: {again}"
    );
    // What was found first is put back, whatever a later run finds.
    fs::write(host.path(FILES[1].0), "userspace\n").expect("written");
    expect(&host.play(&[]), true);
    host.expect_quiet(true);
    expect(&host.play(&["-e", "benchmark_state=absent"]), true);
    host.expect_quiet(false);
    assert!(host.nothing_is_written());
    let again = expect(&host.play(&["-e", "benchmark_state=absent"]), true);
    assert!(again.contains("changed=0"), "nothing is left: {again}");
    // The files lay elsewhere, so the host itself was not changed.
    let now = fs::read_to_string(PARANOID).expect("a setting");
    assert_eq!(now, paranoid);
}

#[test]
fn what_was_half_way_quiet_is_put_back_as_it_was_found() {
    if !can_play("putting back what a killed run left") {
        return;
    }
    let host = Host::new();
    expect(&host.play(&[]), true);
    // As a run that was killed before its last setting leaves it.
    fs::write(host.path("sys/devices/system/cpu/smt/control"), "on\n").expect("written");
    expect(&host.play(&["-e", "benchmark_state=absent"]), true);
    host.expect_quiet(false);
    assert!(host.nothing_is_written());
}

#[test]
fn without_the_tool_the_rest_is_done_and_a_quiet_host_is_not_forgotten() {
    if !can_play("a host without the tool") {
        return;
    }
    let mut host = Host::new();
    let tool = std::mem::replace(&mut host.tool, "/nonexistent/runtime_bench".to_owned());
    let text = expect(&host.play(&[]), true);
    assert!(text.contains("benchmark_tool=PATH"), "{text}");
    host.expect_quiet(false);
    expect(&host.play(&["-e", "benchmark_state=absent"]), true);
    host.tool = tool;
    expect(&host.play(&[]), true);
    host.tool = "/nonexistent/runtime_bench".to_owned();
    let text = expect(&host.play(&["-e", "benchmark_state=absent"]), false);
    assert!(text.contains("says that this host is quietened"), "{text}");
    assert!(Path::new(&host.path("run/faasm-bench/tune.json")).exists());
}
