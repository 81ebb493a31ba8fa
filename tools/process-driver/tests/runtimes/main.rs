//! Command-line runtimes, on the real ones of this host and on some that misbehave.

#[path = "../driver/common.rs"]
mod common;
mod faults;
mod handlers;
mod workerd;

use std::fs;
use std::process::Command;

use common::{Bench, DRIVER};
use driver_testkit::{Page, eventually, functions, skipped};
use measure_core::base::exit::Exit;
use measure_core::base::process_tree::processes_below;
use measure_core::contract::Probe;
use measure_core::contract::protocol::Message;

/// Whether rung `rung` can run here; says so if not.
fn ready(bench: &Bench, rung: &str) -> bool {
    let info = bench.run(&format!("info --rung {rung}"));
    let ready = info.stdout.contains("    ready");
    if !ready {
        skipped(rung, "it does not run here");
    }
    ready
}

#[test]
fn every_shipped_runtime_starts_and_parks_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    if !bench.compile_wasm() {
        skipped("runtimes of Wasm", functions::NO_WASI);
    }
    let rungs = bench.run("info --json").messages();
    let mut ran = 0;
    for message in rungs.iter().skip(3) {
        let Message::Rung { description, probe } = message else {
            panic!("{message:?}")
        };
        let rung = description.rung.as_str();
        if SERVE.contains(&rung) {
            continue;
        }
        if let Probe::Unavailable { why, mend } = probe {
            skipped(format!("runtime {rung}"), format!("{why}; {mend}"));
            continue;
        }
        ran += 1;
        let timed = bench.run(&format!("time 3 --workers 2 --rung {rung}"));
        let phases: &[&str] = match rung {
            "workerd" => &["spawn", "answer", "reap"],
            "workerd-worker" => &["answer"],
            _ => &["spawn", "run", "reap"],
        };
        timed.expect(0).made_starts(3, phases);
        timed.left_nothing();
        let mut held = bench.start(&format!("hold 2 --gated --rung {rung}"));
        held.until_ready();
        held.go();
        assert_eq!(held.until_parked(), 2);
        if OF_A_PROCESS.contains(&rung) {
            let parked = processes_of_park(held.pid());
            assert_eq!(parked.len(), 2, "{rung} says so before they are parked");
            let blocked = || parked.iter().all(|&pid| state_of(pid) == Some('S'));
            eventually("its workers are blocked", blocked);
        }
        held.end().expect(0).left_nothing();
    }
    assert!(ran >= 1, "not even `native` runs");
}

/// They take handlers alone, with which they are tried where these are brought.
const SERVE: [&str; 2] = ["wasmtime-serve", "jco-serve"];

/// Runtimes whose function is a process of the host's kernel, which tells whether it runs. Others are Wasm and scripts, and gVisor,
/// which has a kernel of its own.
const OF_A_PROCESS: [&str; 8] = [
    "native",
    "unshare",
    "bubblewrap",
    "runc",
    "crun",
    "podman",
    "systemd-nspawn",
    "containerd-runc",
];

/// Processes below `driver` that execute the parked function by now, wherever its executable lies for them.
fn processes_of_park(driver: i32) -> Vec<i32> {
    let mut all = processes_below(&[driver]);
    all.retain(|pid| {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        exe.ends_with("demo/park") || exe.ends_with("demo/park/native")
    });
    all
}

fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_wrong_file_is_a_usage_error_that_names_entry_and_field() {
    for (text, words) in [
        (
            "[[runtime]]\nid = 'x'\nisolation = {}\ncommand = ['x', '{bundel}']",
            "did you mean `bundle`?",
        ),
        (
            "[[runtime]]\nid = 'x'\nisolation = {}\ncommand = ['runc', 'run']",
            "runtime `x`: command has no placeholder",
        ),
        (
            "[[runtime]]\nid = 'thread'\nisolation = {}\ncommand = ['{function}']",
            "a rung of its own",
        ),
        ("[[runtimes]]\n", "unknown field `runtimes`"),
        ("no toml", "line 1"),
    ] {
        let ended = Bench::empty().with_runtimes(text).run("info");
        ended
            .expect(Exit::Usage as i32)
            .says(words)
            .says("runtimes.toml");
    }
    let ended = Bench::empty().with_runtimes("").run("time 1 --rung runk");
    ended.says("did you mean `runc`?");
}

#[test]
fn the_page_on_adding_a_runtime_is_true() {
    let Some(bench) = Bench::new() else { return };
    let page = Page::read("adding-a-runtime.md");
    let (block, id) = page.entry();
    // As the page says: in the configuration directory, and then by the variable.
    let directory = tempfile::tempdir().expect("a directory");
    let configured = directory.path().join("faasm-bench");
    fs::create_dir(&configured).expect("made");
    let file = configured.join("runtimes.toml");
    fs::write(&file, block).expect("written");
    for (variable, value) in [
        ("XDG_CONFIG_HOME", directory.path()),
        ("FAASM_BENCH_RUNTIMES", file.as_path()),
    ] {
        let driver = |arguments: &[&str]| {
            let mut driver = Command::new(DRIVER);
            driver.arg("--store").arg(bench.path()).args(arguments);
            driver.env(variable, value);
            driver_testkit::run(driver)
        };
        let info = driver(&["info", "--rung", id]);
        let text = info.stdout;
        if text.contains("unavailable") {
            skipped("the page's own runtime", text);
            continue;
        }
        let ended = driver(&["time", "2", "--rung", id]);
        assert_eq!(ended.expect(0).samples().len(), 2);
        assert_eq!(ended.batch().failed, 0);
    }
}

#[test]
fn every_field_and_placeholder_is_explained() {
    Page::read("adding-a-runtime.md").explains(&[
        "{function}",
        "{wasm}",
        "{script}",
        "{root}",
        "{program}",
        "{bundle}",
        "{name}",
        "{state}",
        "{run}",
        "{cgroup}",
        "{port}",
        "{variable}",
        "setup",
        "cleanup",
        "version",
        "files",
        "scripts",
        "environment",
        "hide_mounts",
        "private_dirs",
        "daemon",
        "needs",
        "bundle_runs",
        "counts",
        "parked_when",
        "handlers",
        "timeout_s",
        "max_workers",
        "cold",
        "warm",
        "settings",
        "install",
        "mend",
        "summary",
        "reach",
    ]);
}

#[test]
fn the_network_that_an_entry_is_in_is_what_its_reach_says() {
    let Some(bench) = Bench::new() else { return };
    if !bench.compile_wasm() {
        return skipped("the reach of entries", functions::NO_WASI);
    }
    let entry = |id: &str, words: &str, reach: &str| {
        format!(
            "[[runtime]]\nid = '{id}'\ncommand = ['echo', '{{wasm}}']\ninstall = 'it is made up'\nisolation = {{ network = '{words}'{reach} }}\n"
        )
    };
    let entries = [
        entry("hosts", "", ", reach = 'host'"),
        entry("own", "", ", reach = 'namespace'"),
        entry("closed", "", ", reach = 'loopback'"),
        entry("socketless", "", ", reach = 'nothing'"),
        entry("worded", "no network, nothing but loopback", ""),
    ];
    let bench = bench.with_runtimes(&entries.concat());
    let dir = bench.path().join("test/asks");
    fs::create_dir_all(&dir).expect("made");
    fs::write(dir.join("function.wasm"), "(module)").expect("written");
    let toml = "args = ['asks', '{host}']\nnetwork = ['host.internal:6379']\n";
    fs::write(dir.join("function.toml"), toml).expect("written");
    let run = |rung: &str| bench.run(&format!("run --rung {rung} --function test/asks"));
    for (rung, host) in [
        ("hosts", "asks 127.0.0.1\n"),
        ("own", "asks host.internal\n"),
        ("worded", "asks host.internal\n"),
    ] {
        let ended = run(rung);
        let said = ended.expect(0).messages().into_iter().any(|message| {
            matches!(message, Message::Answer(answer)
                if String::from_utf8_lossy(&answer.stdout.kept).ends_with(host))
        });
        assert!(said, "{rung}: {ended:?}");
    }
    for rung in ["closed", "socketless"] {
        let words = format!("test/asks is granted the network, and `{rung}` has none");
        run(rung).expect(Exit::Unavailable as i32).says(&words);
    }
    let unknown = entry("x", "", ", reach = 'nowhere'");
    let ended = Bench::empty().with_runtimes(&unknown).run("info");
    ended.expect(Exit::Usage as i32).says("nowhere");
}
