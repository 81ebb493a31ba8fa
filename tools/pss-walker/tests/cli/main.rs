//! The executable on real processes and groups.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use driver_testkit::{Ended, functions};
use measure_core::base::label;
use measure_core::driver_kit::cgroup::{Controller, Group};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

mod closed_pipe;
#[path = "../../../../crates/probes/tests/support/sleepers.rs"]
mod sleepers;

use sleepers::Sleepers;

fn walker() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pss-walker"))
}

/// With the words of `args`.
fn run(args: &str) -> Ended {
    driver_testkit::run(walker().args(args.split_whitespace()))
}

/// It prints nothing, ends with `code` and says `words`.
#[track_caller]
fn fails(args: &str, code: i32, words: &[&str]) {
    let ended = run(args);
    assert_eq!(ended.stdout, "", "{args}");
    ended.assert_failed(code, words);
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("a JSON line")
}

#[test]
fn the_table_names_every_process_and_adds_them_up() {
    let tree = Sleepers::start(3);
    let out = run(&tree.root().to_string());
    out.expect(0);
    let table = out.stdout;
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 1 + 4 + 1, "{table}");
    assert_eq!(rows[0][0], "PID");
    assert_eq!(
        (rows[1][0], rows[1][5]),
        (tree.root().to_string().as_str(), "sh")
    );
    for (row, pid) in rows[2..5].iter().zip(&tree.pids[1..]) {
        assert_eq!((row[0], row[5]), (pid.to_string().as_str(), "sleep"));
    }
    let number = |row: &Vec<&str>| row[1].parse::<u64>().expect("a number");
    let sum: u64 = rows[1..5].iter().map(number).sum();
    assert_eq!(rows[5][0], "sum");
    // Each row is rounded down to whole KiB, the sum only once.
    assert!((sum..sum + 4).contains(&number(&rows[5])), "{table}");
    assert!(table.contains("4 processes in"), "{table}");
}

#[test]
fn json_has_the_same_numbers_in_bytes() {
    let tree = Sleepers::start(2);
    let out = run(&format!("--json {} {}", tree.root(), tree.pids[1]));
    let walk = json(out.stdout.trim());
    assert_eq!(walk["kind"], "walk");
    let processes = walk["processes"].as_array().expect("a list");
    assert_eq!(processes.len(), 3, "a root within a tree counts once");
    for key in ["pss_bytes", "uss_bytes", "rss_bytes", "swap_bytes"] {
        let parts: u64 = processes.iter().map(|p| p[key].as_u64().expect(key)).sum();
        assert_eq!(walk["sum"][key], parts, "{key}");
    }
    assert!(walk["end_ns"].as_u64() > walk["start_ns"].as_u64());
    assert_eq!(walk["vanished"], 0);
}

#[test]
fn names_find_their_trees() {
    let tree = Sleepers::start(2);
    let out = run("--json --name sleep");
    let walk = json(out.stdout.trim());
    let found = |pid: i32| {
        let processes = walk["processes"].as_array().expect("a list");
        processes
            .iter()
            .any(|p| p["pid"] == pid && p["name"] == "sleep")
    };
    assert!(found(tree.pids[1]) && found(tree.pids[2]) && !found(tree.pids[0]));
}

#[test]
fn a_group_is_walked_by_path_and_below_the_mount() {
    let name = label::name(nix::unistd::getpid().as_raw(), "walker-test");
    let group = match Group::create(&name, &[Controller::Memory]) {
        Ok(group) => group,
        Err(why) => {
            eprintln!("SKIPPED: a_group_is_walked_by_path_and_below_the_mount: {why}");
            return;
        }
    };
    let tree = Sleepers::start(2);
    group.add_process(tree.pids[0]).expect("joins");
    group.add_process(tree.pids[2]).expect("joins");
    let dir = group.dir(Controller::Memory).expect("made");
    let below = format!("/{name}");
    let full = dir.to_str().expect("plain");
    let in_memory = dir
        .parent()
        .is_some_and(|p| full == format!("{}{below}", p.display()));
    for path in [full, below.as_str()] {
        let out = run(&format!("--json --cgroup {path}"));
        out.expect(0);
        let walk = json(out.stdout.trim());
        assert_eq!(
            walk["processes"].as_array().map(Vec::len),
            Some(2),
            "{path}"
        );
        if !in_memory {
            break;
        }
    }
}

#[test]
fn a_series_ends_with_its_peak() {
    let tree = Sleepers::start(1);
    let out = run(&format!(
        "--json --interval 20ms --duration 200ms {}",
        tree.root()
    ));
    out.expect(0);
    let stdout = out.stdout;
    let lines: Vec<_> = stdout.lines().map(json).collect();
    let (peak, points) = lines.split_last().expect("lines");
    assert!(points.iter().all(|point| point["kind"] == "point"));
    assert_eq!(peak["kind"], "peak");
    assert_eq!(peak["samples"], points.len());
    let ticks = points.len() as u64 + peak["missed_ticks"].as_u64().expect("a count");
    assert_eq!(ticks, 11, "from 0 to 200 ms, both included: {stdout}");
    let largest = points.iter().filter_map(|p| p["pss_bytes"].as_u64()).max();
    assert_eq!(peak["peak"]["pss_bytes"].as_u64(), largest);
    let starts: Vec<_> = points.iter().map(|p| p["start_ns"].as_u64()).collect();
    assert!(starts.is_sorted());
    let out = run(&format!("--duration 250ms {}", tree.root()));
    let table = out.stdout;
    assert!(table.contains("peak PSS at"), "{table}");
}

#[test]
fn a_signal_ends_a_series_and_the_peak_is_printed() {
    let tree = Sleepers::start(1);
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut series = walker()
            .args(["--interval", "10s", &tree.root().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("pss-walker starts");
        let mut out = BufReader::new(series.stdout.take().expect("piped"));
        let mut lines = String::new();
        out.read_line(&mut lines).expect("headings");
        out.read_line(&mut lines).expect("the first sample");
        let pid = Pid::from_raw(i32::try_from(series.id()).expect("a pid"));
        let sent = Instant::now();
        kill(pid, signal).expect("running");
        std::io::Read::read_to_string(&mut out, &mut lines).expect("the rest");
        let status = series.wait().expect("a child");
        assert_eq!(status.code(), Some(code), "{lines}");
        assert!(lines.contains("peak PSS at"), "{lines}");
        assert!(
            sent.elapsed() < Duration::from_secs(9),
            "not at the next tick"
        );
    }
}

#[test]
fn a_series_ends_by_itself_when_no_process_is_left() {
    let tree = Sleepers::start(1);
    let mut series = walker()
        .args(["--interval", "10ms", "--json", &tree.root().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pss-walker starts");
    let mut out = BufReader::new(series.stdout.take().expect("piped"));
    let mut lines = String::new();
    out.read_line(&mut lines).expect("the first sample");
    drop(tree);
    std::io::Read::read_to_string(&mut out, &mut lines).expect("the rest");
    assert!(series.wait().expect("a child").success());
    let last = json(lines.lines().last().expect("lines"));
    assert_eq!(last["kind"], "peak");
    assert!(last["peak"]["processes"].as_u64() >= Some(2), "{last}");
}

#[test]
fn processes_that_vanish_are_no_error() {
    let churn = "while :; do sleep 0.001 & sleep 0.002 & wait; done";
    let mut shell = Command::new("sh")
        .args(["-c", churn])
        .spawn()
        .expect("sh starts");
    let root = shell.id().to_string();
    let out = run(&format!("--json --interval 2ms --duration 500ms {root}"));
    shell.kill().expect("a child");
    shell.wait().expect("a child");
    out.expect(0);
    let stdout = out.stdout;
    let last = json(stdout.lines().last().expect("lines"));
    assert_eq!(last["denied"], 0, "{last}");
    assert!(last["vanished"].is_u64());
}

#[test]
fn what_is_not_there_is_said() {
    let mut ended = Command::new("true").spawn().expect("true starts");
    let pid = ended.id().to_string();
    ended.wait().expect("a child");
    fails(&pid, 1, &[&format!("no process {pid}")]);

    let _tree = Sleepers::start(1);
    fails(
        "--name slep",
        1,
        &["no process is called `slep`", "did you mean"],
    );
    fails("--cgroup /no/such/group", 1, &["is no cgroup"]);

    // Threads are in /proc too, but have no memory of their own.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (send, tid) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        send.send(nix::unistd::gettid().to_string())
            .expect("awaited");
        let _ = wait.recv();
    });
    let tid = tid.recv().expect("a thread id");
    fails(&tid, 1, &["is a thread of process"]);
    drop(go);
    thread.join().expect("no panic");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for (args, said) in [
        ("", "nothing to walk"),
        ("0", "is no process id"),
        ("dockerd", "--name dockerd"),
        ("1 --interval 10", "is no duration"),
        ("1 --duration 0s", "no time at all"),
        ("1 --intervall 1s", "--interval"),
    ] {
        fails(args, 2, &[said]);
    }
    let parts = ["EXAMPLES", "EXIT CODES", "proportional set size"];
    run("--help").assert_ended(0, &parts);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let tree = Sleepers::start(1);
    let mut series = walker()
        .args(["--interval", "5ms", &tree.root().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pss-walker starts");
    drop(series.stdout.take());
    let out = series.wait_with_output().expect("a child");
    assert!(out.status.success(), "{out:?}");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("there");
    let out = walker()
        .arg(tree.root().to_string())
        .stdout(full)
        .output()
        .expect("starts");
    assert_eq!(out.status.code(), Some(5));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("cannot write"), "{said}");
}

#[test]
fn other_users_processes_are_counted_and_named_as_the_reason() {
    use std::os::unix::process::CommandExt;
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: other_users_processes_are_counted: not root, so no second user");
        return;
    }
    let tree = Sleepers::start(1);
    // The build directory may be closed to that user: a copy of the executable is not.
    let copy = std::env::temp_dir().join(label::name(nix::unistd::getpid().as_raw(), "walker"));
    functions::copy_program(env!("CARGO_BIN_EXE_pss-walker"), &copy);
    let as_nobody = |root: i32| {
        let mut command = Command::new(&copy);
        driver_testkit::run(command.arg(root.to_string()).uid(65534).gid(65534))
    };
    let denied = as_nobody(tree.root());
    fs::remove_file(&copy).expect("ours");
    denied.assert_failed(3, &["none of the 2 processes may be read", "run as root"]);
}
