//! Counters of a real group, from outside.

use std::process::Command;

use measure_core::base::label;
use measure_core::driver_kit::cgroup::{Controller, Group};
use probes::cgroup::{cpu_ns, memory_current_bytes, memory_peak_bytes};

const COUNTED: [Controller; 2] = [Controller::Cpuacct, Controller::Memory];

#[test]
fn an_exited_child_counts() {
    let name = label::name(nix::unistd::getpid().as_raw(), "probes-cgroup-test");
    let group = match Group::create(&name, &COUNTED) {
        Ok(group) => group,
        Err(why) => return eprintln!("SKIPPED: an_exited_child_counts: {why}"),
    };
    let dirs = group.dirs();
    let (cpu, memory) = (&dirs["cpuacct"], &dirs["memory"]);
    let busy = Command::new("sh")
        .args(["-c", "echo $$ > $0/cgroup.procs; echo $$ > $1/cgroup.procs; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
        .args([cpu, memory])
        .status();
    assert!(busy.expect("sh runs").success());
    assert!(
        cpu_ns(cpu).expect("CPU time") > 100_000,
        "an exited child counts"
    );
    let peak = memory_peak_bytes(memory).expect("a peak");
    let now = memory_current_bytes(memory).expect("a current value");
    assert!(peak > 0 && now <= peak, "{now} of at most {peak}");
    assert!(
        cpu_ns(&cpu.join("nowhere")).is_err(),
        "a group that is gone has no time"
    );
}
