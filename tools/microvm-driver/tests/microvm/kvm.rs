//! The rungs on /dev/kvm and the whole command line, on the real driver and real machines.

use std::process::Command;

use driver_testkit::{Running, skipped};
use measure_core::base::exit::Exit;
use measure_core::contract::Probe;
use measure_core::contract::protocol::{BatchEnd, Message};
use nix::sys::signal::Signal;

use crate::common::{assert_failed, assert_says, assert_starts, driver, hold, lacks, run};

const RUNGS: [(&str, &str); 2] = [
    ("kvm-flat", "create configure first-output exit teardown"),
    ("kvm-flat-pooled", "erase configure first-output exit"),
];

/// The rungs that can run here, with their phases.
fn ready(test: &str) -> Vec<(&'static str, &'static str)> {
    let mut rungs = RUNGS.to_vec();
    rungs.retain(|(rung, _)| match lacks(rung, driver("")) {
        None => true,
        Some(why) => {
            skipped(format!("{test}, {rung}"), why);
            false
        }
    });
    rungs
}

#[test]
fn info_lists_every_rung_with_what_it_isolates() {
    let mut ids = Vec::new();
    for message in run("info --json").expect(0).messages() {
        let Message::Rung { description, probe } = message else {
            panic!("{message:?}");
        };
        assert!(!description.isolation.memory.is_empty());
        let emulated = description.rung == "qemu-tcg";
        assert_eq!(description.isolation.hardware.is_empty(), emulated);
        assert_eq!(description.summary.contains("EMULATED"), emulated);
        if let Probe::Unavailable { why, mend } = probe {
            assert!(!why.is_empty() && !mend.is_empty());
        }
        ids.push(description.rung);
    }
    assert_eq!(
        ids.join(" "),
        "kvm-flat kvm-flat-pooled firecracker firecracker-linux firecracker-jailed firecracker-restore qemu-tcg"
    );
}

#[test]
fn starts_have_phases_that_sum() {
    for (rung, phases) in ready("time") {
        let ended = run(&format!("time 40 --workers 2 --warmup 0 --rung {rung}"));
        assert_starts(&ended, 40, phases);
    }
}

#[test]
fn held_guests_stay_until_standard_input_closes() {
    for (rung, _) in ready("hold") {
        let held = hold(driver(&format!("hold 5 --rung {rung}")));
        held.end().expect(0);
        let ended = run(&format!("hold 2 --rung {rung} --function demo/noop"));
        assert_failed(&ended, Exit::StartFailed, "instead of staying blocked");
    }
}

#[test]
fn signals_end_a_run_with_its_samples() {
    for (rung, _) in ready("signals") {
        for (signal, exit) in [
            (Signal::SIGINT, Exit::Interrupted),
            (Signal::SIGTERM, Exit::Terminated),
        ] {
            let mut timed = Running::start(driver(&format!("time 10000000 --rung {rung}")));
            timed.until(|m| matches!(m, Message::Sample(_)));
            timed.signal(signal);
            let batch = timed.until(|m| matches!(m, Message::Batch(_)));
            assert!(matches!(
                batch,
                Message::Batch(BatchEnd {
                    interrupted: true,
                    ..
                })
            ));
            let mut held = hold(driver(&format!("hold 3 --rung {rung}")));
            held.signal(signal);
            for driver in [&mut timed, &mut held] {
                assert_eq!(driver.code(), Some(exit as i32), "{rung}");
            }
        }
    }
}

/// What `info --rung kvm-flat` says where `/dev` has been changed by `script`, in a mount namespace.
fn info_where(script: &str) -> Option<String> {
    let driver = env!("CARGO_BIN_EXE_microvm-driver");
    let script = format!("{script} && exec {driver} info --rung kvm-flat");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output();
    let text = output.map_or_else(
        |e| e.to_string(),
        |o| String::from_utf8_lossy(&[o.stdout, o.stderr].concat()).into_owned(),
    );
    if !text.contains("kvm-flat") {
        let why = format!("no mount namespace of our own: {text}");
        skipped("another /dev/kvm", why);
        return None;
    }
    Some(text)
}

#[test]
fn a_missing_kvm_is_told_with_the_way_to_one() {
    if let Some(text) = info_where("mount -t tmpfs none /dev && mknod /dev/null c 1 3") {
        let no_file = "/dev/kvm: No such file";
        assert_says(&text, &["unavailable", no_file, "nested virtualisation"]);
    }
}

#[test]
fn a_kvm_that_runs_no_guest_is_told() {
    // It can be opened and knows none of the calls.
    if let Some(text) = info_where("touch /dev/kvm && mount --bind /dev/null /dev/kvm") {
        assert_says(&text, &["unavailable", "KVM", "ioctl"]);
    }
}

#[test]
fn unknown_functions_are_usage_errors() {
    for (rung, _) in ready("unknown function") {
        let ended = run(&format!("time 1 --rung {rung} --function demo/nop"));
        assert_failed(&ended, Exit::Usage, "did you mean `demo/noop`?");
    }
}

#[test]
fn help_teaches() {
    let ended = run("--help");
    let text = &ended.expect(0).stdout;
    assert_says(text, &["EXAMPLES", "EXIT CODES", "ENVIRONMENT"]);
    assert_says(text, &["--firecracker", "--kernel", "hold"]);
}
