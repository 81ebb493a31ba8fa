//! What a snapshot is worth to a Python function: its start against that of an interpreter that starts each
//! time, as a Faaslet, as a process and in a container, in turns; and what one more parked one weighs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use faaslet::Store;
use measure_core::base::home;
use measure_core::contract::protocol::{Message, parse_line};
use stats::{linear_fit, median, median_ratio};

use crate::{Outcome, Weight, report, weigh};

const SEED: u64 = 20;
const ROUNDS: usize = 10;
/// What is started, and what is parked.
const STARTED: [&str; 2] = ["python/noop", "python/json"];
const PARKED: [&str; 2] = ["python/park", "python/json"];
const OURS: (&str, u32) = ("proto-faaslet", 100);
const WORKERS: [usize; 3] = [10, 40, 80];
/// So many slopes make an interval.
const SWEEPS: usize = 5;
const PARKED_AIM_KIB: f64 = 1024.0;

/// A rung that ours is held against.
struct Peer {
    rung: &'static str,
    driver: &'static str,
    /// Starts in a row.
    starts: u32,
    /// The most that a start from a snapshot may take of one of this rung.
    aim: Option<f64>,
}

const PEERS: [Peer; 3] = [
    Peer {
        rung: "faaslet",
        driver: "faasm-driver",
        starts: 5,
        aim: Some(1.0 / 25.0),
    },
    Peer {
        rung: "process",
        driver: "process-driver",
        starts: 10,
        aim: Some(1.0 / 20.0),
    },
    Peer {
        rung: "docker-none",
        driver: "docker-driver",
        starts: 3,
        aim: None,
    },
];

/// Prints the ratios, or why there are none, of what `chosen` picks.
pub(crate) fn run(chosen: impl Fn(&str) -> bool) -> Outcome<()> {
    let store = Store::at(home::store());
    let there = |function: &str| -> Outcome<bool> {
        let found = store.wasm(&function.parse()?).is_ok();
        if !found {
            eprintln!(
                "SKIPPED: {function}: not in {} (make python python-functions)",
                store.root().display()
            );
        }
        Ok(found)
    };
    for function in STARTED {
        if chosen(&format!("start of {function}"))
            && there(function)?
            && let Err(e) = starts(function)
        {
            eprintln!("SKIPPED: starts of {function}: {e}");
        }
    }
    for function in PARKED {
        if chosen(&format!("parked {function}"))
            && there(function)?
            && let Err(e) = parked(function)
        {
            eprintln!("SKIPPED: parked {function}: {e}");
        }
    }
    Ok(())
}

fn starts(function: &str) -> Outcome<()> {
    let mut ours = Vec::new();
    let mut peers: Vec<(&Peer, Vec<f64>)> = PEERS.iter().map(|peer| (peer, Vec::new())).collect();
    for _ in 0..ROUNDS {
        ours.push(median_ns(OURS.0, "faasm-driver", OURS.1, function)?);
        // One that cannot run here does not keep the others from being held against.
        peers.retain_mut(|(peer, times)| {
            match median_ns(peer.rung, peer.driver, peer.starts, function) {
                Ok(time) => times.push(time),
                Err(e) => {
                    eprintln!("SKIPPED: {function} on {}: {e}", peer.rung);
                    return false;
                }
            }
            true
        });
    }
    let us = |values: &[f64]| median(values).unwrap_or(f64::NAN) / 1e3;
    for (peer, theirs) in &peers {
        let aim = peer
            .aim
            .map_or_else(String::new, |aim| format!(" (aim <= {aim})"));
        println!(
            "{function}: {} / {}: {}{aim} ours {:.1} us peer {:.1} us n={ROUNDS} blocks of {} and {}",
            OURS.0,
            peer.rung,
            ratio(&ours, theirs),
            us(&ours),
            us(theirs),
            OURS.1,
            peer.starts
        );
    }
    Ok(())
}

/// What one more parked `function` weighs from a snapshot and without, in turns: each sweep gives a slope.
fn parked(function: &str) -> Outcome<()> {
    const RUNGS: [&str; 2] = ["proto-faaslet", "faaslet"];
    let mut slopes = [Vec::new(), Vec::new()];
    let mut points: [Vec<(f64, Weight)>; 2] = Default::default();
    for _ in 0..SWEEPS {
        for ((rung, slopes), points) in RUNGS.iter().zip(&mut slopes).zip(&mut points) {
            let mut sweep = Vec::new();
            for workers in WORKERS {
                let weight = weigh(rung, Some(function), workers)?;
                sweep.push((workers as f64, weight.pss));
                points.push((workers as f64, weight));
            }
            slopes.push(linear_fit(&sweep).ok_or("no line fits")?.slope);
        }
    }
    for (rung, points) in RUNGS.iter().zip(&points) {
        report(&format!("{rung} of {function}"), points, PARKED_AIM_KIB);
    }
    println!(
        "one more parked {function}: {} / {}: {} n={SWEEPS} sweeps",
        RUNGS[0],
        RUNGS[1],
        ratio(&slopes[0], &slopes[1])
    );
    Ok(())
}

/// The ratio of the medians with its interval.
fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    let Some(ratio) = median_ratio(ours, theirs, SEED) else {
        return "no ratio".to_owned();
    };
    let interval = ratio.interval.map_or_else(
        || "[too few]".to_owned(),
        |i| format!("[{:.5}, {:.5}]", i.lo, i.hi),
    );
    format!("{:.5} {interval}", ratio.ratio)
}

/// The median start of a block, from request to torn down.
fn median_ns(rung: &str, driver: &str, starts: u32, function: &str) -> Outcome<f64> {
    // Drivers lie beside each other.
    let driver = PathBuf::from(env!("CARGO_BIN_EXE_faasm-driver")).with_file_name(driver);
    let output = Command::new(&driver)
        .args(["time", &starts.to_string(), "--warmup", "2", "--rung", rung])
        .args(["--function", function])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{}: {e}", driver.display()))?;
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
