//! What one more parked Faaslet weighs: the real driver holds 500 to 2000 of them, and a line is fitted
//! through what the kernel says of its memory. Then what a snapshot is worth to Python.
//!
//! `cargo bench -p faasm-driver --bench overhead -- "start of python/noop"` does only what has these words
//! in its name.

mod python;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use measure_core::contract::protocol::{Message, parse_line};
use stats::{linear_fit, median};

const WORKERS: [usize; 4] = [500, 1000, 1500, 2000];
const REPEATS: usize = 3;
const AIM_KIB: f64 = 24.0;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A driver with its workers parked, in KiB.
#[derive(Clone, Copy)]
struct Weight {
    pss: f64,
    page_tables: f64,
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = |what: &str| words.is_empty() || words.iter().any(|word| what.contains(word));
    for rung in ["wasm", "faaslet", "proto-faaslet"] {
        if chosen(&format!("parked {rung}")) {
            weigh_slope(rung);
        }
    }
    python::run(chosen)
}

/// Holds so many workers of the rung's own function and prints what one more weighs.
fn weigh_slope(rung: &str) {
    let mut points = Vec::new();
    for _ in 0..REPEATS {
        for workers in WORKERS {
            match weigh(rung, None, workers) {
                Ok(weight) => points.push((workers as f64, weight)),
                Err(e) => {
                    eprintln!("SKIPPED: parked {rung}: {e}");
                    return;
                }
            }
        }
    }
    report(rung, &points, AIM_KIB);
}

/// What a driver with `workers` parked weighs.
fn weigh(rung: &str, function: Option<&str>, workers: usize) -> Outcome<Weight> {
    let function = function.map(|function| ["--function", function]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_faasm-driver"))
        .args(["hold", &workers.to_string(), "--gated", "--rung", rung])
        .args(function.iter().flatten())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no standard input")?;
    writeln!(input)?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
    let mut weight = Err("the driver ended early".into());
    for line in &mut lines {
        match parse_line(&line?)? {
            Message::Parked { .. } => {
                weight = read_weight(child.id());
                break;
            }
            Message::Failed { error, .. } => {
                weight = Err(error.into());
                break;
            }
            _ => {}
        }
    }
    drop(input);
    lines.for_each(drop);
    child.wait()?;
    weight
}

fn read_weight(pid: u32) -> Outcome<Weight> {
    let field = |file: &str, name: &str| -> Outcome<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or_else(|| format!("no {name} in {file}"))?.parse()?)
    };
    Ok(Weight {
        pss: field("smaps_rollup", "Pss:")?,
        page_tables: field("status", "VmPTE:")?,
    })
}

/// Prints what one more weighs, held against `aim_kib`.
fn report(what: &str, points: &[(f64, Weight)], aim_kib: f64) {
    let fit = |of: fn(&Weight) -> f64| {
        linear_fit(
            &points
                .iter()
                .map(|(n, weight)| (*n, of(weight)))
                .collect::<Vec<_>>(),
        )
    };
    let (Some(pss), Some(tables)) = (fit(|w| w.pss), fit(|w| w.page_tables)) else {
        return;
    };
    let (lo, hi) = pss
        .slope_interval
        .map_or((f64::NAN, f64::NAN), |i| (i.lo, i.hi));
    println!(
        "one more parked {what}, KiB PSS / {aim_kib}: {:.3} [{:.3}, {:.3}] (aim <= 1) ours {:.2} KiB peer {aim_kib} KiB n={}",
        pss.slope / aim_kib,
        lo / aim_kib,
        hi / aim_kib,
        pss.slope,
        points.len()
    );
    let largest = points.iter().map(|(n, _)| *n).fold(0.0, f64::max);
    let most = points.iter().filter(|(n, _)| *n >= largest);
    let total = median(&most.map(|(_, w)| w.pss).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    println!(
        "phases of parked {what}: fixed {:.0} KiB PSS, page tables {:.2} KiB each (not in PSS), {largest} together {total:.0} KiB PSS",
        pss.intercept, tables.slope
    );
}
