//! The Python functions as `make python-functions` installs them.

use std::path::{Path, PathBuf};

use driver_testkit::{Running, run, skipped};
use measure_core::contract::protocol::Message;

use crate::common::{driver_at, ready_rungs};

const RUNGS: [&str; 3] = ["faaslet", "proto-faaslet", "proto-faaslet-pooled"];

/// The checkout's home, if the functions are there.
fn home() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
    for name in ["noop", "json", "park"] {
        let index = home.join("store/python").join(name).join("snapshots.json");
        if !index.is_file() {
            let why = format!("no {} (make python python-functions)", index.display());
            skipped("Python functions", why);
            return None;
        }
    }
    Some(home)
}

#[test]
fn python_functions_start_and_park_with_and_without_a_snapshot() {
    let Some(home) = home() else { return };
    for rung in ready_rungs("Python functions") {
        if !RUNGS.contains(&rung.as_str()) {
            continue;
        }
        let args = |name| ["--rung", rung.as_str(), "--function", name];
        for name in ["python/noop", "python/json"] {
            let ran = run(driver_at(
                &home,
                &[&["time", "3"], &args(name)[..]].concat(),
            ));
            assert_eq!(ran.code, Some(0), "{name} on {rung}: {ran:?}");
            assert_eq!((ran.samples().len(), ran.batch().failed), (3, 0));
        }
        for name in ["python/park", "python/json"] {
            let command = driver_at(&home, &[&["hold", "2"], &args(name)[..]].concat());
            let mut held = Running::start(command);
            held.until(|message| matches!(message, Message::Parked { .. }));
            let ended = held.end();
            assert_eq!(ended.code, Some(0), "{name} on {rung}: {ended:?}");
        }
    }
}
