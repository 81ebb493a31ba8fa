//! The rungs on /dev/kvm and the whole command line, on the real driver and real machines.

mod common;

use std::process::Command;

use common::{Running, check, code, errors, messages, run, unavailable};
use measure_core::base::exit::Exit;
use measure_core::contract::Probe;
use measure_core::contract::protocol::{BatchEnd, Message};
use nix::sys::signal::Signal;

const RUNGS: [(&str, &[&str]); 2] = [
    (
        "kvm-flat",
        &["create", "configure", "first-output", "exit", "teardown"],
    ),
    (
        "kvm-flat-pooled",
        &["erase", "configure", "first-output", "exit"],
    ),
];

/// The rungs that can run here.
fn ready(test: &str) -> Vec<(&'static str, &'static [&'static str])> {
    RUNGS
        .into_iter()
        .filter(|(rung, _)| match unavailable(rung, &[]) {
            None => true,
            Some(why) => {
                eprintln!("SKIPPED: {test}, {rung}: {why}");
                false
            }
        })
        .collect()
}

#[test]
fn info_lists_every_rung_with_what_it_isolates() {
    let output = run(&["info", "--json"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let said = messages(&output);
    let mut ids = Vec::new();
    for message in &said {
        let Message::Rung { description, probe } = message else {
            panic!("{message:?}");
        };
        ids.push(description.rung.as_str());
        assert!(!description.isolation.memory.is_empty());
        let emulated = description.rung == "qemu-tcg";
        assert_eq!(description.isolation.hardware.is_empty(), emulated);
        assert_eq!(description.summary.contains("EMULATED"), emulated);
        if let Probe::Unavailable { why, mend } = probe {
            assert!(!why.is_empty() && !mend.is_empty());
        }
    }
    assert_eq!(
        ids,
        [
            "kvm-flat",
            "kvm-flat-pooled",
            "firecracker",
            "firecracker-linux",
            "firecracker-jailed",
            "firecracker-restore",
            "qemu-tcg"
        ]
    );
}

#[test]
fn starts_have_phases_that_sum() {
    for (rung, names) in ready("time") {
        let arguments = [
            "time",
            "40",
            "--workers",
            "2",
            "--warmup",
            "0",
            "--rung",
            rung,
        ];
        check(&run(&arguments), 40, names);
    }
}

#[test]
fn held_guests_stay_until_standard_input_closes() {
    for (rung, _) in ready("hold") {
        let mut driver = Running::start(&["hold", "5", "--rung", rung]);
        driver.until(|m| matches!(m, Message::Parked { workers: 5 }));
        driver.input = None;
        assert_eq!(driver.code(), Some(0), "{rung}");
        let output = run(&["hold", "2", "--rung", rung, "--function", "demo/noop"]);
        assert_eq!(code(&output), Exit::StartFailed as i32, "{rung}");
        assert!(
            errors(&output).contains("instead of staying blocked"),
            "{}",
            errors(&output)
        );
    }
}

#[test]
fn signals_end_a_run_with_its_samples() {
    for (rung, _) in ready("signals") {
        for (signal, exit) in [
            (Signal::SIGINT, Exit::Interrupted),
            (Signal::SIGTERM, Exit::Terminated),
        ] {
            let mut timed = Running::start(&["time", "10000000", "--rung", rung]);
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
            assert_eq!(timed.code(), Some(exit as i32), "{rung}");
            let mut held = Running::start(&["hold", "3", "--rung", rung]);
            held.until(|m| matches!(m, Message::Parked { .. }));
            held.signal(signal);
            assert_eq!(held.code(), Some(exit as i32), "{rung}");
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
        eprintln!("SKIPPED: another /dev/kvm: no mount namespace of our own: {text}");
        return None;
    }
    Some(text)
}

#[test]
fn a_missing_kvm_is_told_with_the_way_to_one() {
    let without = "mount -t tmpfs none /dev && mknod /dev/null c 1 3";
    let Some(text) = info_where(without) else {
        return;
    };
    for words in [
        "unavailable",
        "/dev/kvm: No such file",
        "nested virtualisation",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_kvm_that_runs_no_guest_is_told() {
    // It can be opened and knows none of the calls.
    let Some(text) = info_where("touch /dev/kvm && mount --bind /dev/null /dev/kvm") else {
        return;
    };
    for words in ["unavailable", "KVM", "ioctl"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn unknown_functions_are_usage_errors() {
    for (rung, _) in ready("unknown function") {
        let output = run(&["time", "1", "--rung", rung, "--function", "demo/nop"]);
        assert_eq!(code(&output), Exit::Usage as i32);
        assert!(
            errors(&output).contains("did you mean `demo/noop`?"),
            "{}",
            errors(&output)
        );
    }
}

#[test]
fn help_teaches() {
    let output = run(&["--help"]);
    assert_eq!(code(&output), 0);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "EXAMPLES",
        "EXIT CODES",
        "ENVIRONMENT",
        "--firecracker",
        "--kernel",
        "hold",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
