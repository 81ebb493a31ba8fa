//! Starts that make their seat or a part of it: what each makes, that it is gone afterwards, and after a kill.

use std::fs;
use std::path::Path;

use driver_testkit::{eventually, left};
use measure_core::base::label;
use measure_core::contract::protocol::Message;
use nix::sys::signal::Signal;

use crate::common::{Bench, ready_rungs};
use crate::modules as m;

const RUNG: &str = "faaslet-netns-new";
/// Of a function that was granted nothing it makes a cgroup alone.
const WITHOUT_NAMESPACE: &str = "faaslet-new";
const PHASES: [&str; 11] = [
    "cgroup-new",
    "thread",
    "cgroup",
    "netns",
    "wasi",
    "instance",
    "run",
    "drop",
    "join",
    "netns-drop",
    "cgroup-drop",
];

fn can_run(test: &str) -> bool {
    ready_rungs(test).iter().any(|rung| rung == RUNG)
}

/// Host ends of the network namespaces that process `pid` made.
fn devices_of(pid: i32) -> usize {
    let devices = fs::read_dir("/sys/class/net").expect("devices").flatten();
    let aliases = devices.map(|device| fs::read_to_string(device.path().join("ifalias")));
    let of_pid = |alias: &String| label::owner(alias) == Some(label::Owner::of_pid(pid));
    aliases.flatten().filter(of_pid).count()
}

/// Cgroups of single seats that process `pid` made: they are numbered.
fn seats_of(pid: i32) -> usize {
    fn numbered(dir: &Path) -> usize {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.path().is_dir());
        dirs.map(|entry| {
            let is_seat = entry.file_name().to_string_lossy().parse::<usize>().is_ok();
            usize::from(is_seat) + numbered(&entry.path())
        })
        .sum()
    }
    left::cgroups_of(pid).iter().map(|dir| numbered(dir)).sum()
}

#[test]
fn each_start_makes_a_seat_and_removes_it() {
    let bench = Bench::with(&[("noop", m::NOOP), ("trap", m::TRAP)]);
    if !can_run("a seat for each start") {
        return;
    }
    let of_no_namespace = PHASES.iter().filter(|name| !name.starts_with("netns"));
    let of_no_namespace: Vec<&str> = of_no_namespace.copied().collect();
    for (rung, phases) in [
        (RUNG, &PHASES[..]),
        (WITHOUT_NAMESPACE, &of_no_namespace[..]),
    ] {
        for (function, code) in [("demo/noop", 0), ("demo/trap", 4)] {
            let line = format!("time 12 --rung {rung} --workers 3 --gated --function {function}");
            let mut running = bench.start(&line);
            let pid = running.pid();
            running.until(|m| *m == Message::Ready);
            assert_eq!((seats_of(pid), devices_of(pid)), (0, 0), "{rung}");
            running.go();
            running.until(|m| matches!(m, Message::Batch(_)));
            assert_eq!((seats_of(pid), devices_of(pid)), (0, 0), "{rung}");
            let ended = running.end();
            let samples = ended.expect(code).samples();
            assert_eq!(samples.len(), 12);
            // A start that failed has a reason in their place.
            for sample in samples.iter().filter(|sample| sample.error.is_none()) {
                let names: Vec<&str> = sample.phases.iter().map(|(name, _)| &**name).collect();
                assert_eq!(names, phases, "{rung}");
            }
            assert_eq!(left::behind(pid), Vec::<String>::new());
        }
    }
}

#[test]
fn clean_removes_what_is_left_of_starts_under_way_at_a_kill() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    if !can_run("a kill amid new seats") {
        return;
    }
    let mut running = bench.start(&format!("time 1000000 --rung {RUNG} --workers 4"));
    let pid = running.pid();
    running.until(|m| matches!(m, Message::Sample(_)));
    eventually("a seat is there", || seats_of(pid) > 0);
    eventually("a device is there", || devices_of(pid) > 0);
    running.signal(Signal::SIGKILL);
    running.child.wait().expect("an end");
    let ran = bench.ok("clean");
    assert_eq!(left::cgroups_of(pid).len(), 0, "{ran:?}");
    // The kernel removes namespaces that nobody holds, and the host ends with them.
    eventually("no device is left", || devices_of(pid) == 0);
    assert_eq!(left::behind(pid), Vec::<String>::new());
}
