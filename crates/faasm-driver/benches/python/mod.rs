//! What a snapshot is worth to a Python function: its start against that of an interpreter that starts each
//! time, as a Faaslet and as a process, in turns; and what one more parked one weighs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use faaslet::Store;
use measure_core::driver::protocol::{Message, parse_line};
use measure_core::home;
use measure_core::stats::{median, median_ratio};

use crate::{Outcome, weigh_slope};

const SEED: u64 = 20;
const ROUNDS: usize = 10;
const FUNCTIONS: [&str; 2] = ["python/noop", "python/json"];
/// Rung, starts in a row, and the aim for the ratio of a start from a snapshot to one of this rung.
const PEERS: [(&str, u32, f64); 2] = [("faaslet", 5, 1.0 / 25.0), ("process", 10, 1.0 / 20.0)];
const OURS: (&str, u32) = ("proto-faaslet", 100);
const WORKERS: [usize; 3] = [20, 60, 100];
const PARKED_AIM_KIB: f64 = 1024.0;

/// Prints the ratios, or why there are none.
pub(crate) fn run() -> Outcome<()> {
    let store = Store::at(home::store());
    for function in FUNCTIONS {
        if store.wasm(&function.parse()?).is_err() {
            eprintln!(
                "SKIPPED: {function}: not in {} (make python python-functions)",
                store.root().display()
            );
            return Ok(());
        }
        if let Err(e) = starts(function) {
            eprintln!("SKIPPED: starts of {function}: {e}");
        }
    }
    for rung in ["proto-faaslet", "faaslet"] {
        weigh_slope(rung, Some("python/park"), &WORKERS, PARKED_AIM_KIB);
    }
    Ok(())
}

fn starts(function: &str) -> Outcome<()> {
    let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        ours.push(median_ns(OURS.0, OURS.1, function)?);
        for (peer, times) in PEERS.iter().zip(&mut theirs) {
            times.push(median_ns(peer.0, peer.1, function)?);
        }
    }
    for ((peer, starts, aim), theirs) in PEERS.iter().zip(&theirs) {
        let Some(ratio) = median_ratio(&ours, theirs, SEED) else {
            continue;
        };
        let (lo, hi) = ratio
            .interval
            .map_or((f64::NAN, f64::NAN), |i| (i.lo, i.hi));
        let us = |values: &[f64]| median(values).unwrap_or(f64::NAN) / 1e3;
        println!(
            "{function}: {} / {peer}: {:.4} [{lo:.4}, {hi:.4}] (aim <= {aim}) ours {:.1} us peer {:.1} us n={ROUNDS} blocks of {} and {starts}",
            OURS.0,
            ratio.ratio,
            us(&ours),
            us(theirs),
            OURS.1
        );
    }
    Ok(())
}

/// The median start of a block, from request to torn down.
fn median_ns(rung: &str, starts: u32, function: &str) -> Outcome<f64> {
    let output = Command::new(driver(rung))
        .args(["time", &starts.to_string(), "--warmup", "2", "--rung", rung])
        .args(["--function", function])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{}: {e}", driver(rung).display()))?;
    let mut times = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match parse_line(line)? {
            Message::Sample(sample) if !sample.warmup => match sample.error {
                Some(error) => return Err(error.into()),
                None => times.push(sample.total_ns as f64),
            },
            Message::Failed { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
    median(&times).ok_or_else(|| "no start".into())
}

/// Drivers lie beside each other.
fn driver(rung: &str) -> PathBuf {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_faasm-driver"));
    if rung == "process" {
        ours.with_file_name("process-driver")
    } else {
        ours
    }
}
