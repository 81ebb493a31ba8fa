//! Every probe reads *reached* in a place where nothing contains it: else it could not fail, and what it says elsewhere would
//! be worth nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use driver_testkit::functions::{Compiled, NO_MUSL, compile};
use driver_testkit::skipped;
use isolation::catalogue::{PROBES, Probe, Says};
use isolation::cell::Cell;
use isolation::control;
use isolation::facts::HostFacts;
use isolation::home::{BUILT, Home};
use isolation::plant::Plant;

const FLAGS: [&str; 5] = ["-static", "-O2", "-Wall", "-Wextra", "-Werror"];

/// A home with the probes compiled from their sources; `None` where there is no compiler for them.
fn built() -> Option<&'static Path> {
    static HOME: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let home = HOME.get_or_init(|| {
        let home = tempfile::tempdir().expect("a directory");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/isolation");
        let ids = PROBES.iter().map(|p| p.id).chain(["victim", "aggressor"]);
        for id in ids {
            let source = sources.join(id).with_extension("c");
            let target = home.path().join(BUILT).join(id).join("native");
            match compile("musl-gcc", &FLAGS, &source, &target) {
                Compiled::Made => {}
                Compiled::NoCompiler => return None,
                Compiled::Refused(said) => panic!("{id}: {said}"),
            }
        }
        Some(home)
    });
    home.as_ref().map(tempfile::TempDir::path)
}

/// One test at a time writes programs and runs them: a program that is open for writing cannot be executed, and what one
/// thread forks has for a moment open what another thread is writing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Place {
    plant: Plant,
    home: Home,
}

fn place(real: &Path) -> Place {
    let plant = Plant::new(&HostFacts::gather(), real).expect("planted");
    let own: PathBuf = plant.place().join("home");
    let home = Home::make(own, real).expect("a home");
    Place { plant, home }
}

/// What this host lacks, as far as the control tells it: its kernel, or our privileges.
fn may_be_contained(probe: &Probe, how: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    match (probe.id, how) {
        // A kernel without modules, or without the call.
        ("load-module" | "keyctl" | "bpf" | "userfaultfd" | "unshare", "no such call") => true,
        (_, "denied" | "limit") => !root,
        _ => false,
    }
}

#[test]
fn every_probe_reaches_what_it_aims_at_where_nothing_contains_it() {
    let _alone = alone();
    let Some(real) = built() else {
        return skipped("the control", NO_MUSL);
    };
    let Place { mut plant, home } = place(real);
    let all: Vec<&Probe> = PROBES.iter().collect();
    let cells = control::run(&mut plant, &home, &all).expect("run");
    let mut reached = 0;
    for probe in PROBES {
        match &cells[probe.id] {
            Cell::Reached => {
                reached += 1;
                assert_eq!(probe.says, Says::Outcome, "{}", probe.id);
            }
            Cell::Number { number } => {
                assert_ne!(probe.says, Says::Outcome, "{}", probe.id);
                // Linux 6 has some 350 that answer; a container's filter leaves 280 and more.
                assert!(probe.id != "system-calls" || *number > 200, "{number}");
            }
            Cell::Contained { how } if may_be_contained(probe, how) => {
                eprintln!(
                    "SKIPPED: the control of {}: this host contains it ({how})",
                    probe.id
                );
            }
            Cell::CannotTry { why }
                if ["read-device", "reach-host", "read-shadow"].contains(&probe.id) =>
            {
                eprintln!(
                    "SKIPPED: the control of {}: this host has none to aim at: {why}",
                    probe.id
                );
            }
            other => panic!("{}: {other}", probe.id),
        }
    }
    assert!(reached >= 10, "{reached} of them");
}

#[test]
fn what_is_not_there_is_not_reached() {
    let _alone = alone();
    let Some(real) = built() else {
        return skipped("probes that aim at nothing", NO_MUSL);
    };
    let Place { plant, home } = place(real);
    for (id, parameters, wanted) in [
        ("read-planted", "file=/nowhere/at/all;digest=1;", 12),
        ("read-planted", "file=/proc/self/status;digest=1;", 11),
        ("read-shadow", "shadow=;digest=0;", 22),
        (
            "see-processes",
            "token=nobody-has-this-in-a-command-line;",
            11,
        ),
        ("signal-process", "pid=2147483647;", 12),
        (
            "read-process-memory",
            "pid=2147483647;address=1000;memory=0;",
            12,
        ),
        ("reach-loopback", "port=1;token=x;", 17),
        ("leftovers", "bytes=1048576;pattern=123456;", 12),
        // Another kernel, by its name.
        ("fork", "processes=2;kernel=other;booted=0;", 23),
    ] {
        home.add(id, id, parameters).expect("aimed");
        let status = Command::new(home.native(id))
            .current_dir(plant.place())
            .status();
        let code = status.expect("run").code();
        assert_eq!(code, Some(wanted), "{id} {parameters}");
    }
}

#[test]
fn nothing_planted_stays() {
    let _alone = alone();
    let Some(real) = built() else {
        return skipped("what is planted", NO_MUSL);
    };
    let before = |place: &Path| place.exists();
    let Place { plant, home } = place(real);
    plant.arm(&home).expect("armed");
    let there = plant.place().to_owned();
    assert!(before(&there));
    drop(plant);
    assert!(!before(&there));
}
