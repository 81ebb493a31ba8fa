//! A run that was cut short, and the one that goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use measure_core::base::exit::Exit;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::tool::{
    Running, can_run, code, ended, host, run, samples, says, stderr, stdout, tool, wait_until,
};

const RUNGS: &str = "thread,process";
const PROCESSES: u32 = 8;

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Begins a run into `out` and ends it by `signal` after its second round; whether that came about.
fn cut_short(out: &Path, signal: Signal) -> bool {
    let state = out.join("resume.json");
    for _ in 0..100 {
        let child = tool()
            .args([
                "time",
                "--rungs",
                RUNGS,
                "--iterations",
                "20",
                "--isolated",
                "2",
            ])
            .args(["--workers", "1", "--repetitions", &PROCESSES.to_string()])
            .args(["--seed", "7", "--output"])
            .arg(out)
            .spawn()
            .expect("the tool starts");
        let mut running = Running(child);
        let two_rounds = || json(&state)["round"].as_u64() >= Some(2);
        wait_until(Duration::from_secs(300), || {
            two_rounds() || running.0.try_wait().is_ok_and(|s| s.is_some())
        });
        running.signal(signal);
        running.end();
        if out.exists() {
            return two_rounds();
        }
        // Another run on this host goes first.
        std::thread::sleep(Duration::from_secs(2));
    }
    false
}

#[test]
fn a_run_goes_on_with_its_seed_and_ends_with_all_its_processes() {
    let test = "a_run_goes_on_with_its_seed_and_ends_with_all_its_processes";
    let _host = host();
    if !can_run(test, "process-driver", "thread") || !can_run(test, "process-driver", "process") {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("run");
        let text = out.to_str().expect("a path");
        assert!(cut_short(&out, signal), "it was cut short");
        let before = samples(&out);
        let cut = run(&["validate", text]);
        assert_eq!(code(&cut), Exit::Failed as i32, "{}", stdout(&cut));

        let resumed = run(&["time", "--resume", text]);
        ended(&resumed, Exit::Ok);
        let all = samples(&out);
        assert_eq!(all[..before.len()], before[..], "nothing is dropped");
        assert!(all.iter().all(|s| s.seed == 7));
        let mut processes: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        for sample in all.iter().filter(|s| s.measure.as_str() == "back-to-back") {
            processes
                .entry(&sample.rung)
                .or_default()
                .insert(sample.process);
        }
        for rung in RUNGS.split(',') {
            // One may have been cut short, and is there besides.
            let found = processes[rung].len();
            assert!([8, 9].contains(&found), "{rung}: {found}");
        }
        let info = json(&out.join("run.json"));
        assert!(info["parts"][0]["ended"].is_null(), "{info}");
        assert_eq!(info["parts"].as_array().map(Vec::len), Some(1));
        let blocks: Vec<u32> = all.iter().map(|s| s.block).collect();
        let again = blocks[before.len()..].iter().min();
        assert!(
            again > blocks[..before.len()].iter().max(),
            "blocks are numbered on"
        );

        let whole = run(&["validate", text]);
        assert_eq!(code(&whole), 0, "{}", stdout(&whole));
        // There is nothing more to go on with.
        let over = run(&["time", "--resume", text]);
        assert_eq!(code(&over), Exit::Usage as i32);
        says(&over, "came to its end");
    }
}

/// What became of the environment, and what is said of it.
type Spoilt = (fn(&mut Value), &'static str);

#[test]
fn another_host_and_another_build_are_refused() {
    let test = "another_host_and_another_build_are_refused";
    let _host = host();
    if !can_run(test, "process-driver", "thread") || !can_run(test, "process-driver", "process") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let text = out.to_str().expect("a path");
    assert!(cut_short(&out, Signal::SIGINT), "it was cut short");
    let place = out.join("environment.json");
    let kept = fs::read_to_string(&place).expect("there");
    let spoil: [Spoilt; 2] = [
        (
            |environment| environment["system"]["kernel"]["value"] = "2.4.0".into(),
            "kernel was",
        ),
        (
            |environment| {
                environment["engines"]["process-driver"]["executable_sha256"]["value"] = "0".into();
            },
            "process-driver is another build",
        ),
    ];
    for (change, says) in spoil {
        let mut environment: Value = serde_json::from_str(&kept).expect("JSON");
        change(&mut environment);
        fs::write(&place, environment.to_string()).expect("written");
        let refused = run(&["time", "--resume", text]);
        assert_eq!(
            code(&refused),
            Exit::Unavailable as i32,
            "{says}: {}",
            stderr(&refused)
        );
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    for (words, says) in [
        (
            &["--resume", text, "--seed", "1"][..],
            "cannot be used with",
        ),
        (&["--resume", "/no/such/run"], "nothing to go on with"),
    ] {
        let refused = run(&[&["time"], words].concat());
        assert_eq!(code(&refused), Exit::Usage as i32, "{}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
}
