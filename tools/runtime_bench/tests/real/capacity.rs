//! `capacity` over the real drivers: where it ends, what it writes on the way, and that nothing is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use driver_testkit::left::cgroups_of;
use driver_testkit::{alive, children};
use measure_core::base::exit::Exit;
use measure_core::base::label;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::driver_kit::cgroup::{Controller, Group};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::tool::{
    Running, can_run, code, ended, host, run, run_by, samples, stderr, stdout, tool, wait_until,
};

fn capacity(out: &Path, words: &[&str]) -> Output {
    let out = out.to_str().expect("a path");
    let all: Vec<&str> = [&["capacity", "--output", out], words].concat();
    run(&all)
}

/// What ended the ramp of `rung`: its word, its sentence, and how many were parked.
fn gave(samples: &[Sample], rung: &str) -> (String, String, i64) {
    let end = samples
        .iter()
        .rfind(|s| s.rung == rung && s.metric.as_str() == "resident")
        .expect("an end");
    let words = end.error.clone().expect("a sentence");
    (
        end.phase.clone(),
        words,
        end.value.number().expect("a number"),
    )
}

/// How many starts went well beside so many parked workers.
fn starts_beside(samples: &[Sample], rung: &str, resident: u32) -> usize {
    let is_start = |s: &&Sample| {
        s.rung == rung
            && s.measure.as_str() == "one-more"
            && s.phase == TOTAL
            && s.workers == resident
            && !s.warmup
            && s.error.is_none()
    };
    samples.iter().filter(is_start).count()
}

#[test]
fn as_many_as_asked_for_are_parked_and_measured_on_the_way() {
    let test = "as_many_as_asked_for_are_parked_and_measured_on_the_way";
    let _host = host();
    if !can_run(test, "process-driver", "process") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let output = capacity(
        &out,
        &["--rungs", "thread,process", "--until", "25", "--slo", "10s"],
    );
    ended(&output, Exit::Ok);
    let text = stdout(&output);
    assert!(text.contains("nothing gave"), "{text}");
    let samples = samples(&out);
    for rung in ["thread", "process"] {
        let (word, _, resident) = gave(&samples, rung);
        assert_eq!((word.as_str(), resident), ("until", 25), "{rung}");
        for resident in [1, 3, 10, 25] {
            assert_eq!(starts_beside(&samples, rung, resident), 50, "{resident}");
        }
        assert_eq!(starts_beside(&samples, rung, 0), 200);
        let weighed = |metric: &str| {
            let of = |s: &&Sample| {
                s.rung == rung && s.phase == "parked" && s.metric.as_str() == metric && s.n == 25
            };
            samples.iter().find(of).and_then(|s| s.value.number())
        };
        assert!(weighed("pss_bytes").is_some_and(|bytes| bytes > 0));
        assert!(weighed("mem_available_bytes").is_some_and(|bytes| bytes > 0));
    }
    // Of processes there are as many as parked, and their drivers: 1 + 2 + 7 + 15 workers in four.
    let processes = samples
        .iter()
        .find(|s| s.rung == "process" && s.metric.as_str() == "processes" && s.n == 25);
    assert_eq!(processes.and_then(|s| s.value.number()), Some(25 + 4));
    for file in ["capacity.svg", "runtime-bench-capacity.csv", "report.md"] {
        let before = fs::read(out.join(file)).expect(file);
        let again = run(&["report", out.to_str().expect("a path")]);
        ended(&again, Exit::Ok);
        assert_eq!(fs::read(out.join(file)).expect(file), before, "{file}");
    }
}

#[test]
fn a_start_above_its_bound_ends_the_ramp() {
    let test = "a_start_above_its_bound_ends_the_ramp";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let output = capacity(&out, &["--rungs", "thread", "--slo", "1us"]);
    ended(&output, Exit::Ok);
    let samples = samples(&out);
    let (word, words, resident) = gave(&samples, "thread");
    assert_eq!((word.as_str(), resident), ("slow-start", 1), "{words}");
    assert!(words.contains("bound of 1.00 us"), "{words}");
    assert_eq!(starts_beside(&samples, "thread", 1), 3 * 50, "three misses");
}

#[test]
fn a_start_that_fails_ends_the_ramp() {
    let test = "a_start_that_fails_ends_the_ramp";
    let _host = host();
    if !can_run(test, "process-driver", "thread") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    // It ends at once instead of staying blocked.
    let output = capacity(
        &out,
        &[
            "--rungs",
            "thread",
            "--function",
            "demo/noop",
            "--until",
            "9",
        ],
    );
    ended(&output, Exit::Ok);
    let (word, words, resident) = gave(&samples(&out), "thread");
    assert_eq!((word.as_str(), resident), ("failed-start", 0), "{words}");
    assert!(words.contains("could not be started"), "{words}");
}

/// Runs the tool to its end within `group`, whose directories it joins before it begins.
fn run_within(group: &Group, arguments: &[&str]) -> Output {
    let joins: String = group
        .dirs()
        .values()
        .map(|dir| format!("echo $$ >{}/cgroup.procs; ", dir.display()))
        .collect();
    let script = format!("{joins} exec \"$0\" \"$@\"");
    run_by(|| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(tool().get_program());
        shell.args(arguments);
        shell
    })
}

/// A group of our own with a limit; says so if there can be none.
fn limited(test: &str, controller: Controller, files: [&str; 2], limit: u64) -> Option<Group> {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: {test}: no limited cgroup, run it as root");
        return None;
    }
    let name = label::name(nix::unistd::getpid().as_raw(), "limited");
    let group = match Group::create(&name, &[controller]) {
        Ok(group) => group,
        Err(error) => {
            eprintln!("SKIPPED: {test}: no limited cgroup: {error}");
            return None;
        }
    };
    let dir = group.dir(controller).expect("made").to_owned();
    let file = files
        .map(|file| dir.join(file))
        .into_iter()
        .find(|f| f.exists());
    let file: PathBuf = file.expect("a limit");
    fs::write(file, limit.to_string()).expect("limited");
    Some(group)
}

#[test]
fn a_limit_of_tasks_is_named_with_its_number_and_how_to_raise_it() {
    let test = "a_limit_of_tasks_is_named_with_its_number_and_how_to_raise_it";
    let _host = host();
    if !can_run(test, "process-driver", "process") {
        return;
    }
    let Some(group) = limited(test, Controller::Pids, ["pids.max"; 2], 120) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let path = out.to_str().expect("a path");
    let arguments = [
        "capacity", "--rungs", "process", "--slo", "10s", "--output", path,
    ];
    let output = run_within(&group, &arguments);
    ended(&output, Exit::Ok);
    let (word, words, resident) = gave(&samples(&out), "process");
    assert_eq!(word, "limit", "{words}");
    assert!(words.contains("pids.max is 120"), "{words}");
    assert!(words.contains("raise pids.max"), "{words}");
    assert!((60..120).contains(&resident), "{resident}");
    group.remove().expect("nobody is left in it");
}

/// A gigabyte around the tool and its drivers: the ramp ends before the kernel has to end it, and all memory comes back.
#[test]
fn no_memory_left_ends_the_ramp_and_not_the_tool() {
    let test = "no_memory_left_ends_the_ramp_and_not_the_tool";
    let _host = host();
    if !can_run(test, "faasm-driver", "wasm") {
        return;
    }
    let files = ["memory.limit_in_bytes", "memory.max"];
    let Some(group) = limited(test, Controller::Memory, files, 1 << 30) else {
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let path = out.to_str().expect("a path");
    let arguments = [
        "capacity", "--rungs", "wasm", "--slo", "60s", "--output", path,
    ];
    let output = run_within(&group, &arguments);
    ended(&output, Exit::Ok);
    let samples = samples(&out);
    let (word, words, resident) = gave(&samples, "wasm");
    assert!(
        ["memory", "driver-died"].contains(&word.as_str()),
        "{word}: {words}"
    );
    assert!(resident >= 1000, "{resident}: {words}");
    assert!(starts_beside(&samples, "wasm", 1000) > 0);
    assert!(
        group.processes().expect("its processes").is_empty(),
        "{:?}",
        group.processes()
    );
    let groups = cgroups_of(nix::unistd::getpid().as_raw());
    group.remove().expect("nobody is left in it");
    assert!(groups.iter().all(|dir| !dir.exists()), "{groups:?}");
}

#[test]
fn ctrl_c_in_the_ramp_lets_all_go_and_keeps_the_points() {
    let test = "ctrl_c_in_the_ramp_lets_all_go_and_keeps_the_points";
    let _host = host();
    if !can_run(test, "process-driver", "process") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let child = tool()
        .args(["capacity", "--rungs", "process", "--slo", "60s", "--output"])
        .arg(&out)
        .spawn()
        .expect("it starts");
    let running = Running(child);
    let text = || fs::read_to_string(out.join("samples.jsonl")).unwrap_or_default();
    let at_hundred = wait_until(Duration::from_secs(120), || {
        let text = text();
        let mut lines = text.lines();
        lines.any(|line| {
            line.contains(r#""measure":"one-more""#) && line.contains(r#""workers":100"#)
        })
    });
    assert!(at_hundred, "{}", text());
    let drivers = running.drivers();
    let parked: Vec<i32> = drivers.iter().flat_map(|&pid| children(pid)).collect();
    assert!(parked.len() >= 100, "{}", parked.len());
    running.signal(Signal::SIGINT);
    let begun = std::time::Instant::now();
    let output = running.end();
    let took = begun.elapsed();
    ended(&output, Exit::Interrupted);
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(!drivers.iter().chain(&parked).any(|&pid| alive(pid)));
    assert!(drivers.iter().all(|&pid| cgroups_of(pid).is_empty()));
    let samples = samples(&out);
    let (word, _, resident) = gave(&samples, "process");
    assert!(
        word == "interrupted" && resident >= 100,
        "{word} {resident}"
    );
    assert!(starts_beside(&samples, "process", 30) > 0);
    let report = fs::read_to_string(out.join("report.md")).expect("a report");
    assert!(report.contains("ended early by SIGINT"), "{report}");
}

/// The signal comes while a driver makes hundreds of namespaces for the next point.
#[test]
fn ctrl_c_while_namespaces_are_made_lets_all_go() {
    let test = "ctrl_c_while_namespaces_are_made_lets_all_go";
    let _host = host();
    if !can_run(test, "faasm-driver", "faaslet-netns") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let child = tool()
        .args(["capacity", "--rungs", "faaslet-netns", "--slo", "60s"])
        .arg("--output")
        .arg(&out)
        .spawn()
        .expect("it starts");
    let running = Running(child);
    // One that starts one more, and those that hold 1, 3, 10, 30, 100 and 300; the next is to hold 700.
    let mut drivers = Vec::new();
    let making = wait_until(Duration::from_secs(120), || {
        drivers = running.drivers();
        drivers.len() == 8 && !cgroups_of(drivers[7]).is_empty()
    });
    assert!(making, "{drivers:?}");
    running.signal(Signal::SIGINT);
    let output = running.end();
    ended(&output, Exit::Interrupted);
    assert!(!drivers.iter().any(|&pid| alive(pid)), "{drivers:?}");
    assert!(drivers.iter().all(|&pid| cgroups_of(pid).is_empty()));
    let (word, _, resident) = gave(&samples(&out), "faaslet-netns");
    assert_eq!((word.as_str(), resident), ("interrupted", 300));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for (words, text) in [
        (["--until", "0"], "--until is 0"),
        (["--floor", "0"], "--floor is 0"),
        (["--floor", "95"], "--floor is 95"),
        (["--slo", "5"], "is no duration"),
        (["--slo", "0ms"], "no time at all"),
    ] {
        let output = tool()
            .arg("capacity")
            .args(words)
            .output()
            .expect("it starts");
        assert_eq!(code(&output), Exit::Usage as i32, "{words:?}");
        assert!(
            stderr(&output).contains(text),
            "{text}: {}",
            stderr(&output)
        );
    }
}
