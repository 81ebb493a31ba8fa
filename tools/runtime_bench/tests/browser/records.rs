//! A run's directory, written here: nothing is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure_core::contract::load_point::{self, GeneratorRecord, LOAD, LoadPoint};
use measure_core::contract::run_info::{Part, RUN_INFO, RunInfo, RungInfo};
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::phase::{BEFORE, PARKED, TOTAL};
use measure_core::contract::vocabulary::{Measure, Metric};
use measure_core::contract::{Description, Isolation, Probe};
use report::load::hdr::Latencies;

/// What a rung could be called by whoever means harm: it is also too long for a line, and turns around what stands behind it.
pub const HOSTILE: &str = concat!(
    "</script><script>window.harmed = 1</script><img src=x onerror='window.harmed = 2'>\u{202e}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
);
/// As many rungs as tables that can be filtered need.
const RUNGS: [(&str, i64); 8] = [
    ("thread", 40_000),
    ("process", 118_000),
    ("wasm", 2_250),
    ("faaslet", 56_000),
    ("faaslet-pooled", 7_210),
    ("faaslet-new", 19_500_000),
    ("docker-none", 184_000_000),
    (HOSTILE, 90_000),
];
const PROCESSES: u32 = 10;

/// A directory with a run, and the page that `report` makes of it.
pub struct Run(tempfile::TempDir);

impl Run {
    /// One of `starts` starts by each process of each rung and design.
    pub fn of_starts(starts: u64) -> Self {
        let run = Self(tempfile::tempdir().expect("a directory"));
        let lines = samples(starts)
            .into_iter()
            .map(|s| serde_json::to_string(&s).expect("a line") + "\n");
        fs::write(run.dir().join("samples.jsonl"), lines.collect::<String>()).expect("written");
        let points = loads()
            .iter()
            .map(|p| serde_json::to_string(p).expect("a line") + "\n")
            .collect::<String>();
        fs::write(run.dir().join(LOAD), points).expect("written");
        let info = serde_json::to_string(&info()).expect("plain data");
        fs::write(run.dir().join(RUN_INFO), info).expect("written");
        run
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// Has the page made.
    pub fn page(&self) -> PathBuf {
        let report = Command::new(env!("CARGO_BIN_EXE_runtime_bench"))
            .arg("report")
            .arg(self.dir())
            .output()
            .expect("it starts");
        assert!(
            report.status.success(),
            "{}",
            String::from_utf8_lossy(&report.stderr)
        );
        self.dir().join("report.html")
    }

    /// How many samples there are of `rung`.
    pub fn count(&self, rung: &str) -> usize {
        let text = fs::read_to_string(self.dir().join("samples.jsonl")).expect("there");
        let of_rung = |line: &&str| {
            let sample: Sample = serde_json::from_str(line).expect("a sample");
            sample.rung == rung
        };
        text.lines().filter(of_rung).count()
    }
}

fn info() -> RunInfo {
    let rungs = RUNGS.iter().map(|(rung, _)| RungInfo {
        driver: "some-driver".to_owned(),
        description: Description {
            rung: (*rung).to_owned(),
            summary: format!("starts {rung}"),
            engine: "an engine".to_owned(),
            isolation: Isolation {
                memory: "address space".to_owned(),
                ..Isolation::default()
            },
            ..Description::default()
        },
        probe: Probe::Ready,
        function: Some("demo/noop".to_owned()),
        scope: Some("its processes".to_owned()),
        plan: None,
        failure: None,
        processes: Vec::new(),
    });
    let part = Part {
        name: "time".to_owned(),
        command_line: vec!["runtime_bench".to_owned(), "quick".to_owned()],
        profile: "quick".to_owned(),
        seed: 7,
        idle_ns: Some(100_000_000),
        rungs: rungs.collect(),
        ended: Some("it was killed before its end".to_owned()),
        ..Part::default()
    };
    RunInfo {
        schema: SCHEMA,
        run: "20261130T000000Z-host".to_owned(),
        parts: vec![part],
    }
}

fn samples(starts: u64) -> Vec<Sample> {
    let mut all = Vec::new();
    let (mut block, mut drawn) = (0, 1_u64);
    let mut spread = |ns: i64| {
        // Knuth's generator: the same picture each time.
        drawn = drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (drawn >> 40) as f64 / (1_u64 << 24) as f64;
        (ns as f64 * (0.9 + 0.2 * share + share.powi(30))) as i64
    };
    for process in 1..=PROCESSES {
        for (rung, ns) in RUNGS {
            for (measure, times) in [(Measure::Isolated, 2), (Measure::BackToBack, 1)] {
                block += 1;
                for order in 0..starts {
                    let total = spread(ns * times);
                    let parts = [
                        (TOTAL, total),
                        ("make", total / 4),
                        ("run", total / 2),
                        ("drop", total - total / 4 - total / 2),
                    ];
                    for (phase, value) in parts {
                        let place = Place {
                            rung,
                            measure: &measure,
                            phase,
                            process,
                            block,
                            order,
                        };
                        all.push(sample(place, Metric::WallNs, 1, value));
                    }
                }
            }
        }
    }
    ramp(&mut all);
    for (rung, ns) in RUNGS {
        for workers in [50_u32, 100, 200, 50, 100, 200] {
            block += 1;
            let place = Place {
                rung,
                measure: &Measure::Hold,
                phase: PARKED,
                process: 0,
                block,
                order: 0,
            };
            let weight = 5_000_000 + i64::from(workers) * spread(10_000 + ns / 100);
            all.push(sample(place, Metric::PssBytes, workers, weight));
        }
    }
    all
}

/// Up to a hundred thousand parked workers of `wasm`, and what one more start takes beside them.
fn ramp(all: &mut Vec<Sample>) {
    for (workers, block) in [0, 100, 1000, 10_000, 100_000]
        .into_iter()
        .zip(10_000_u32..)
    {
        let at = |measure, phase, order| Place {
            rung: "wasm",
            measure,
            phase,
            process: 0,
            block,
            order,
        };
        let phase = if workers == 0 { BEFORE } else { PARKED };
        let parked = i64::from(workers);
        for (metric, bytes) in [
            (Metric::PssBytes, 23_000 * parked),
            (Metric::PercpuBytes, 1_000_000 + 30_000 * parked),
            (Metric::MemAvailableBytes, 20_000_000_000 - 54_000 * parked),
        ] {
            all.push(sample(
                at(&Measure::Capacity, phase, 0),
                metric,
                workers,
                bytes,
            ));
        }
        for order in 0..20 {
            let ns = 20_000 + parked / 10 + 500 * order as i64;
            all.push(sample(
                at(&Measure::OneMore, TOTAL, order),
                Metric::WallNs,
                workers,
                ns,
            ));
        }
    }
}

/// Two rungs at four rates, six processes each; latencies go up with the rate.
fn loads() -> Vec<LoadPoint> {
    let mut all = Vec::new();
    for (rung, unloaded_ns) in [("wasm", 2_250_u64), ("faaslet", 56_000)] {
        for process in 1..=6_u32 {
            for (step, share) in [0.2, 0.5, 0.8, 0.95].into_iter().enumerate() {
                let closed_loop_per_s = 2e9 / unloaded_ns as f64;
                let mut latency = Latencies::new().expect("bounds");
                for start in 1..=1500_u64 {
                    latency.record_ns(
                        unloaded_ns * (8 << (2 * step)) * start / 1000 + u64::from(process),
                    );
                }
                let latency = latency.encode().expect("text");
                all.push(LoadPoint {
                    schema: load_point::SCHEMA,
                    run: "20261130T000000Z-host".to_owned(),
                    rung: rung.to_owned(),
                    function: "demo/noop".to_owned(),
                    process,
                    block: process,
                    pattern: "poisson".to_owned(),
                    seed: 1,
                    offered_per_s: (share * closed_loop_per_s).round(),
                    duration_ns: 1_000_000_000,
                    workers: 2,
                    closed_loop_per_s,
                    unloaded_ns,
                    slo_ns: 1_000_000 + 10 * unloaded_ns,
                    arrivals: 1500,
                    failed: 0,
                    refused: 0,
                    error: None,
                    begun_within_ns: 1_000_000_000,
                    queue_mean: 0.5,
                    queue_max: 7,
                    cpu_ns: Value::Value(500_000_000),
                    client_cpu_ns: None,
                    generator: GeneratorRecord {
                        late: latency.clone(),
                        cpu_ns: 30_000_000,
                        hand_off_ns: 1_000_000,
                        is_real_time: true,
                        unfit: None,
                    },
                    disturbed: None,
                    kept_alive: Vec::new(),
                    waited: latency.clone(),
                    latency,
                });
            }
        }
    }
    all
}

struct Place<'a> {
    rung: &'a str,
    measure: &'a Measure,
    phase: &'a str,
    process: u32,
    block: u32,
    order: u64,
}

fn sample(place: Place<'_>, metric: Metric, workers: u32, value: i64) -> Sample {
    Sample {
        schema: SCHEMA,
        run: "20261130T000000Z-host".to_owned(),
        rung: place.rung.to_owned(),
        function: "demo/noop".to_owned(),
        measure: place.measure.clone(),
        phase: place.phase.to_owned(),
        metric,
        value: Value::Value(value),
        n: u64::from(workers),
        workers,
        process: place.process,
        block: place.block,
        order: place.order,
        seed: 7,
        warmup: false,
        error: None,
    }
}
