//! Good runs and what they write.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use measure_core::base::exit::Exit;
use measure_core::base::home;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;

use crate::tool::{Place, can_run, ended, is_busy, prints, run, samples, stderr, stdout};

const NATIVE: &str = "thread,thread-pooled,process";

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .expect("a directory")
        .flatten()
        .map(|e| {
            (
                e.file_name().to_string_lossy().into_owned(),
                fs::read(e.path()).expect("readable"),
            )
        })
        .collect()
}

fn count<'a>(
    samples: &'a [Sample],
    rung: &'a str,
    measure: &'a str,
) -> impl Iterator<Item = &'a Sample> {
    samples
        .iter()
        .filter(move |s| s.rung == rung && s.measure.as_str() == measure)
}

#[test]
fn a_time_run_keeps_every_start_and_makes_its_tables_from_them() {
    let test = "a_time_run_keeps_every_start_and_makes_its_tables_from_them";
    let Some(place) = Place::for_rung(test, "process-driver", "process") else {
        return;
    };
    let output = run(&[
        "time",
        "--rungs",
        NATIVE,
        "--iterations",
        "3,7",
        "--repetitions",
        "2",
        "--isolated",
        "2",
        "--workers",
        "1,2",
        "--seed",
        "11",
        "--output",
        place.out_text(),
    ]);
    ended(&output, Exit::Ok);
    prints(&output, "thread-pooled");
    assert!(
        !stderr(&output).contains('\r'),
        "quiet where there is no terminal"
    );

    let samples = samples(&place.out);
    for rung in NATIVE.split(',') {
        assert_every_start(&samples, rung);
    }
    interleaved(&samples);
    csv(&place.out);

    let before = files(&place.out);
    let again = run(&["report", place.out_text()]);
    ended(&again, Exit::Ok);
    assert_eq!(
        files(&place.out),
        before,
        "the same records give the same bytes"
    );
    assert_eq!(stdout(&again), stdout(&output));
}

/// Two processes of `rung` made 2 isolated starts each, and batches of 3 and 7.
fn assert_every_start(samples: &[Sample], rung: &str) {
    let made = |measure| -> Vec<&Sample> {
        count(samples, rung, measure)
            .filter(|s| s.phase == TOTAL && s.workers == 1 && !s.warmup)
            .collect()
    };
    let starts = made("back-to-back");
    assert_eq!(starts.len(), 2 * (3 + 7), "{rung}");
    assert_eq!(made("isolated").len(), 2 * 2, "{rung}");
    for process in [1, 2] {
        let of_process = starts.iter().filter(|s| s.process == process);
        assert_eq!(of_process.count(), 3 + 7, "{rung}, process {process}");
    }
    assert!(
        starts
            .iter()
            .all(|s| s.value.number().is_some_and(|ns| ns > 0) && s.seed == 11)
    );
    let phases: i64 = count(samples, rung, "back-to-back")
        .filter(|s| s.phase != TOTAL && s.workers == 1 && !s.warmup)
        .filter_map(|s| s.value.number())
        .sum();
    assert_eq!(
        phases,
        starts.iter().filter_map(|s| s.value.number()).sum::<i64>(),
        "phases sum to the totals"
    );
    assert_eq!(
        made("calibrate").len(),
        2,
        "the first start of each process"
    );
    for measure in ["cpu", "disk", "drop-caches"] {
        assert!(
            count(samples, rung, measure).any(|s| s.phase == TOTAL),
            "{rung} {measure}"
        );
    }
}

/// Blocks of several rungs alternate: no rung has all of its blocks in a row.
fn interleaved(samples: &[Sample]) {
    let mut order: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    for sample in samples.iter().filter(|s| s.measure.as_str() == "batch") {
        if seen.insert(sample.block) {
            order.push(&sample.rung);
        }
    }
    let changes = order.windows(2).filter(|w| w[0] != w[1]).count();
    assert!(changes >= 3, "{order:?}");
}

fn csv(out: &Path) {
    let text = fs::read_to_string(out.join("runtime-bench-time.csv")).expect("a CSV");
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("Runtime,Measure,Value,Iterations,ValuePerIteration")
    );
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    for measure in [
        "elapsed_seconds",
        "cpu_cycles",
        "cpu_seconds",
        "read_bytes",
        "write_bytes",
    ] {
        assert!(
            rows.iter().any(|r| r[0] == "process" && r[1] == measure),
            "{measure}"
        );
    }
    let elapsed: Vec<_> = rows
        .iter()
        .filter(|r| r[0] == "thread" && r[1] == "elapsed_seconds")
        .collect();
    let mut sizes: Vec<&str> = elapsed.iter().map(|r| r[3]).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, ["3", "3", "7", "7"]);
    for row in rows.iter().filter(|r| !r[2].is_empty()) {
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        assert!(
            (number(2) / number(3) - number(4)).abs() <= 1e-9 * number(4).abs(),
            "{row:?}"
        );
    }
}

#[test]
fn results_latest_points_to_the_run() {
    let test = "results_latest_points_to_the_run";
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let output = crate::tool::tool()
        .args([
            "time",
            "--rungs",
            "thread",
            "--iterations",
            "2",
            "--repetitions",
            "1",
            "--workers",
            "1",
        ])
        .current_dir(place.dir.path())
        .output()
        .expect("it starts");
    if is_busy(test, &output) {
        return;
    }
    ended(&output, Exit::Ok);
    let latest = place.dir.path().join("results/latest");
    assert!(latest.join("report.md").is_file());
    let name = fs::read_link(&latest).expect("a link");
    prints(&output, name.to_str().expect("a name"));
}

#[test]
fn a_mem_run_sweeps_and_fits() {
    let test = "a_mem_run_sweeps_and_fits";
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: {test}: needs root");
        return;
    }
    let Some(place) = Place::for_rung(test, "process-driver", "thread") else {
        return;
    };
    let output = run(&[
        "mem",
        "--rungs",
        "thread,process",
        "--counts",
        "20,40,80",
        "--repetitions",
        "1",
        "--output",
        place.out_text(),
    ]);
    ended(&output, Exit::Ok);
    let fit = fs::read_to_string(place.out.join("runtime-bench-mem-fit.csv")).expect("a CSV");
    for rung in ["thread", "process"] {
        let row = fit
            .lines()
            .find(|l| l.starts_with(&format!("{rung},pss_bytes,")))
            .expect("a fit");
        let slope: f64 = row
            .split(',')
            .nth(2)
            .expect("a slope")
            .parse()
            .expect("a number");
        // A parked thread touches a few pages of its stack, a static process a few more.
        assert!((1_000.0..200_000.0).contains(&slope), "{row}");
    }
    let mem = fs::read_to_string(place.out.join("runtime-bench-mem.csv")).expect("a CSV");
    assert!(mem.starts_with("Runtime,Measure,Value,Workers,ValuePerWorker\n"));
    let samples = samples(&place.out);
    let parked = |n| {
        samples.iter().filter(move |s| {
            s.rung == "process"
                && s.phase == "parked"
                && s.metric.as_str() == "processes"
                && s.n == n
                && s.measure.as_str() == "hold"
        })
    };
    for n in [20, 40, 80] {
        assert!(parked(n).count() >= 3, "{n}");
        // The driver itself is in its scope too.
        assert!(
            parked(n).all(|s| s.value.number() == Some(i64::try_from(n).expect("small") + 1)),
            "{n}"
        );
    }
    for phase in ["before", "ready", "parked", "after", "peak"] {
        assert!(
            samples
                .iter()
                .any(|s| s.phase == phase && s.measure.as_str() == "hold"),
            "{phase}"
        );
    }
}

#[test]
fn wasm_and_docker_stand_in_one_table() {
    let test = "wasm_and_docker_stand_in_one_table";
    if !can_run(test, "faasm-driver", "wasm") || !can_run(test, "docker-driver", "docker-none") {
        return;
    }
    // The rung runs without a store; that there is something to start is seen before, not in what a start says.
    let wasm = home::store().join("demo/noop/function.wasm");
    if !wasm.is_file() {
        eprintln!(
            "SKIPPED: {test}: there is no {} (make functions)",
            wasm.display()
        );
        return;
    }
    let place = Place::new();
    let output = run(&[
        "time",
        "--rungs",
        "wasm,docker-none",
        "--iterations",
        "1",
        "--repetitions",
        "5",
        "--workers",
        "1",
        "--budget",
        "5",
        "--output",
        place.out_text(),
    ]);
    ended(&output, Exit::Ok);
    let report = fs::read_to_string(place.out.join("report.md")).expect("a report");
    assert!(
        report.contains("docker-none / this") && !report.contains("There is no ratio to docker"),
        "{report}"
    );
    let samples = samples(&place.out);
    let client = count(&samples, "docker-none", "cpu")
        .find(|s| s.metric.as_str() == "client_cpu_ns")
        .expect("the client is apart");
    let daemon = count(&samples, "docker-none", "cpu")
        .find(|s| s.metric.as_str() == "cpu_ns")
        .expect("the daemon is in the scope");
    assert!(
        daemon.value.number() > client.value.number(),
        "{daemon:?} {client:?}"
    );
    // runc and the shim alone are more than what a Wasm start can cost.
    let wasm = count(&samples, "wasm", "cpu")
        .find(|s| s.metric.as_str() == "cpu_ns")
        .expect("CPU time");
    assert!(
        daemon.value.number().expect("a time") / i64::try_from(daemon.n).expect("small")
            > wasm.value.number().expect("a time") / i64::try_from(wasm.n).expect("small")
    );
}
