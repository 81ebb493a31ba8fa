//! Drivers in PID namespaces of their own: the same cgroups are seen from outside and inside, the same process ids are not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use driver_testkit::{Running, alive, eventually, left, skipped};
use measure_core::base::label::Owner;
use measure_core::contract::protocol::Message;
use nix::sys::signal::Signal;

use crate::common::{Bench, ready_rungs};
use crate::modules as m;

/// One that has cgroups of its own.
const RUNG: &str = "faaslet";

fn can_run(test: &str) -> bool {
    let ready = ready_rungs(test).iter().any(|rung| rung == RUNG);
    ready
        && match inside(Command::new("true")).output() {
            Ok(output) if output.status.success() => true,
            other => {
                skipped(test, format!("no PID namespace can be made: {other:?}"));
                false
            }
        }
}

/// `command` as the first process of a PID namespace of its own, which ends with the caller's child.
fn inside(command: Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    unshare.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    unshare
}

fn hold(command: Command) -> Running {
    let mut running = Running::start(command);
    running.go();
    running.until(|m| matches!(m, Message::Parked { .. }));
    running
}

/// The driver that `unshare` has started.
fn driver_below(unshare: &Running) -> Owner {
    let driver = unshare.children()[0];
    let namespace = fs::metadata(format!("/proc/{driver}/ns/pid")).expect("its namespace");
    format!("1n{}", namespace.ino()).parse().expect("an owner")
}

#[test]
fn clean_outside_removes_what_is_left_of_a_namespace_and_nothing_of_one_that_lives() {
    if !can_run("clean outside a PID namespace") {
        return;
    }
    if Owner::this_process().to_string().contains('n') {
        skipped(
            "clean outside a PID namespace",
            "this is inside one: it does not see all processes",
        );
        return;
    }
    let bench = Bench::with(&[("park", m::PARK)]);
    let line = format!("hold 2 --rung {RUNG} --gated");
    for killed in [false, true] {
        let mut holder = hold(inside(bench.command(&line)));
        let driver = driver_below(&holder);
        let groups = left::cgroups_made_by(driver);
        assert!(!groups.is_empty(), "its groups are named by {driver}");
        assert!(!driver.is_gone());
        bench.ok("clean");
        assert_eq!(left::cgroups_made_by(driver), groups);
        if killed {
            let process = holder.children()[0];
            holder.signal(Signal::SIGKILL);
            holder.child.wait().expect("ended");
            eventually("its driver is gone", || !alive(process));
            eventually("its namespace is gone", || driver.is_gone());
            bench.ok("clean");
        } else {
            holder.end().expect(0);
        }
        assert!(left::cgroups_made_by(driver).is_empty());
    }
}

#[test]
fn clean_inside_a_namespace_lets_be_what_lives_outside() {
    if !can_run("clean inside a PID namespace") {
        return;
    }
    let bench = Bench::with(&[("park", m::PARK)]);
    let holder = hold(bench.command(&format!("hold 2 --rung {RUNG} --gated")));
    let groups = left::cgroups_of(holder.pid());
    assert!(!groups.is_empty());
    // Such a number is no process of the namespace.
    let cleaned = driver_testkit::run(inside(bench.command("clean")));
    cleaned.expect(0);
    assert_eq!(left::cgroups_of(holder.pid()), groups, "{cleaned:?}");
    holder.end().expect(0);
}
