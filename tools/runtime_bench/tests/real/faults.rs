//! Drivers that die or hang, and disks that fill up.

use std::path::Path;

use driver_testkit::alive;
use measure_core::base::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::tool::{Place, Running, ended, samples, says, stdout, tool, wait_until};

/// Starts a run whose blocks take seconds in all, and waits for its first starts.
fn start(out: &Path, more: &[&str]) -> Option<Running> {
    let child = tool()
        .args([
            "time",
            "--rungs",
            "thread,thread-pooled",
            "--iterations",
            "200",
            "--repetitions",
            "20",
            "--isolated",
            "1",
            "--workers",
            "1",
        ])
        .args(more)
        .arg("--output")
        .arg(out)
        .spawn()
        .expect("the tool starts");
    let mut running = Running(child);
    let begun = wait_until(std::time::Duration::from_secs(60), || {
        running.0.try_wait().is_ok_and(|s| s.is_some())
            || std::fs::read_to_string(out.join("samples.jsonl"))
                .is_ok_and(|t| t.contains("\"back-to-back\""))
    });
    (begun && running.0.try_wait().is_ok_and(|s| s.is_none())).then_some(running)
}

/// The driver at work for `rung`; there is none between two rounds.
fn driver_of(running: &Running, rung: &str) -> i32 {
    let is_of_rung = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&b| b == 0).any(|word| word == rung.as_bytes())
    };
    let mut found = None;
    wait_until(std::time::Duration::from_secs(60), || {
        found = running.drivers().into_iter().find(is_of_rung);
        found.is_some()
    });
    found.expect("the driver of the rung")
}

#[test]
fn a_driver_that_dies_costs_its_own_rung_only() {
    let test = "a_driver_that_dies_costs_its_own_rung_only";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let Some(running) = start(&place.out, &[]) else {
        eprintln!("SKIPPED: {test}: another run is under way on this host");
        return;
    };
    kill(
        Pid::from_raw(driver_of(&running, "thread")),
        Signal::SIGKILL,
    )
    .expect("a living driver");
    let output = running.end();
    ended(&output, Exit::EngineLost);
    says(
        &output,
        "was lost, its other processes count: the driver died",
    );
    let samples = samples(&place.out);
    for rung in ["thread", "thread-pooled"] {
        let whole: Vec<u32> = (1..=21)
            .filter(|&process| {
                let starts = samples.iter().filter(|s| {
                    s.rung == rung && s.measure.as_str() == "back-to-back" && s.phase == "total"
                });
                let of_process = starts.filter(|s| s.process == process && !s.warmup);
                of_process.count() == 200
            })
            .collect();
        assert!(whole.len() >= 20, "{rung}: {whole:?}");
    }
    let report = std::fs::read_to_string(place.out.join("report.md")).expect("a report");
    assert!(report.contains("the driver died"), "{report}");
}

#[test]
fn a_driver_that_hangs_is_ended() {
    let test = "a_driver_that_hangs_is_ended";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let Some(running) = start(&place.out, &["--patience", "2"]) else {
        eprintln!("SKIPPED: {test}: another run is under way on this host");
        return;
    };
    let driver = driver_of(&running, "thread");
    kill(Pid::from_raw(driver), Signal::SIGSTOP).expect("a living driver");
    let output = running.end();
    ended(&output, Exit::EngineLost);
    says(&output, "was stuck");
    assert!(!alive(driver));
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_keeps_what_is_there() {
    let test = "a_disk_that_fills_up_ends_the_run_and_keeps_what_is_there";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let flags = nix::mount::MsFlags::empty();
    if let Err(why) = nix::mount::mount(
        Some("tmpfs"),
        place.dir.path(),
        Some("tmpfs"),
        flags,
        Some("size=512k"),
    ) {
        eprintln!("SKIPPED: {test}: no small file system: {why}");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let output = crate::tool::run(&[
            "time",
            "--rungs",
            "thread",
            "--iterations",
            "5000",
            "--output",
            place.out_text(),
        ]);
        ended(&output, Exit::Output);
        says(&output, "free some space");
        assert_eq!(stdout(&output), "");
        assert!(
            samples(&place.out).len() > 100,
            "what was written is readable"
        );
    });
    let _ = nix::mount::umount2(place.dir.path(), nix::mount::MntFlags::MNT_DETACH);
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}
