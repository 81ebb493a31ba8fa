//! The Python functions as `make python-functions` installs them.

use std::path::{Path, PathBuf};

use driver_testkit::{Running, run, skipped};
use measure_core::contract::protocol::Message;

use crate::common::{driver_at, ready_rungs};

const RUNGS: [&str; 7] = [
    "faaslet",
    "proto-faaslet",
    "proto-faaslet-pooled",
    "faaslet-llvm",
    "faaslet-llvm-pooled",
    "proto-faaslet-llvm",
    "proto-faaslet-llvm-pooled",
];

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

/// Whether they have been compiled by way of C, by the tools that are there now.
fn by_c(home: &Path) -> bool {
    ["noop", "json", "park"].into_iter().all(|name| {
        let line = format!("time 1 --rung faaslet-llvm --function python/{name}");
        run(driver_at(home, &line)).code != Some(3)
    })
}

#[test]
fn python_functions_start_and_park_with_and_without_a_snapshot() {
    let Some(home) = home() else { return };
    for rung in ready_rungs("Python functions") {
        if !RUNGS.contains(&rung.as_str()) {
            continue;
        }
        // Compiled when it is asked for: it takes minutes.
        if rung.contains("-llvm") && !by_c(&home) {
            let why =
                "not compiled (faasm-driver codegen --llvm python/noop python/json python/park)";
            skipped(format!("Python functions on {rung}"), why);
            continue;
        }
        for name in ["python/noop", "python/json"] {
            let line = format!("time 3 --rung {rung} --function {name}");
            let ran = run(driver_at(&home, &line));
            ran.expect(0);
            assert_eq!((ran.samples().len(), ran.batch().failed), (3, 0));
        }
        for name in ["python/park", "python/json"] {
            let line = format!("hold 2 --rung {rung} --function {name}");
            let mut held = Running::start(driver_at(&home, &line));
            held.until(|message| matches!(message, Message::Parked { .. }));
            held.end().expect(0);
        }
    }
}
