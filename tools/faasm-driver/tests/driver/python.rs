//! The Python functions as `make python-functions` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use measure_core::contract::protocol::Message;

use crate::common::{Ran, Running, ready_rungs, spawn};

const RUNGS: [&str; 3] = ["faaslet", "proto-faaslet", "proto-faaslet-pooled"];

/// The checkout's home, if the functions are there.
fn home() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build");
    for name in ["noop", "json", "park"] {
        let index = home.join("store/python").join(name).join("snapshots.json");
        if !index.is_file() {
            eprintln!(
                "SKIPPED: Python functions: no {} (make python python-functions)",
                index.display()
            );
            return None;
        }
    }
    Some(home)
}

fn driver(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faasm-driver"));
    command
        .env("FAASM_BENCH_HOME", home)
        .args(args)
        .stdin(Stdio::null());
    command
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
            let mut command = driver(&home, &[&["time", "3"], &args(name)[..]].concat());
            let ran = Ran::from(command.output().expect("the driver"));
            assert_eq!(ran.code, Some(0), "{name} on {rung}: {ran:?}");
            assert_eq!((ran.samples().len(), ran.batch().failed), (3, 0));
        }
        for name in ["python/park", "python/json"] {
            let command = driver(&home, &[&["hold", "2"], &args(name)[..]].concat());
            let mut held: Running = spawn(command);
            held.until(|message| matches!(message, Message::Parked { .. }));
            let (code, rest) = held.end();
            assert_eq!(code, Some(0), "{name} on {rung}: {rest:?}");
        }
    }
}
