//! Open loops, from points that were made up.

use measure_core::contract::load_point::{GeneratorRecord, KeptAlive, LoadPoint, SCHEMA};
use measure_core::contract::run_info::{Part, RunInfo};
use measure_core::contract::sample::Value;
use report::load::hdr::Latencies;
use report::load::{Knee, Measured};
use report::{Records, RunSummary};

use crate::made::{render, terminal};

const SECOND: u64 = 1_000_000_000;

/// `starts` of `latency_ns`, one in a hundred of them ten times as long.
fn latencies(starts: u64, latency_ns: u64) -> Latencies {
    let mut all = Latencies::new().expect("bounds");
    for start in 0..starts {
        let times = if start % 100 == 99 { 10 } else { 1 };
        all.record_ns(latency_ns * times);
    }
    all
}

fn measured(process: u32, per_s: f64, latency_ns: u64, refused: u64) -> Measured {
    let served = per_s as u64;
    let (latency, late) = (latencies(served, latency_ns), latencies(served, 5000));
    let point = LoadPoint {
        schema: SCHEMA,
        run: "r".into(),
        rung: "wasm".into(),
        function: "demo/noop".into(),
        process,
        block: process,
        pattern: "poisson".into(),
        seed: 1,
        offered_per_s: per_s,
        duration_ns: SECOND,
        workers: 4,
        closed_loop_per_s: 1000.0 + f64::from(process),
        unloaded_ns: 20_000,
        slo_ns: 1_000_000,
        arrivals: served + refused,
        failed: 0,
        refused,
        error: None,
        begun_within_ns: SECOND,
        queue_mean: 0.5,
        queue_max: 7,
        cpu_ns: Value::Value(500_000_000),
        client_cpu_ns: None,
        generator: GeneratorRecord {
            late: late.encode().expect("text"),
            cpu_ns: 30_000_000,
            hand_off_ns: 1_000_000,
            is_real_time: true,
            unfit: None,
        },
        disturbed: None,
        kept_alive: Vec::new(),
        latency: latency.encode().expect("text"),
        waited: latency.encode().expect("text"),
    };
    Measured {
        waited: latency.clone(),
        point,
        latency,
        late,
    }
}

/// Six processes at three rates, the largest of which the rung cannot follow.
pub fn loaded() -> Records {
    let each = (1..=6).flat_map(|process| {
        [
            measured(process, 100.0, 20_000, 0),
            measured(process, 700.0, 40_000 + u64::from(process), 0),
            measured(process, 1100.0, 20_000_000, 200),
        ]
    });
    Records {
        loads: each.collect(),
        ..Records::default()
    }
}

#[test]
fn the_knee_lies_between_what_it_held_and_what_it_did_not() {
    let records = loaded();
    let summary = RunSummary::from_records(&records);
    let [load] = &summary.loads[..] else {
        panic!("one rung: {:?}", summary.loads);
    };
    let Knee::At(knee) = &load.knee else {
        panic!("a knee: {:?}", load.knee);
    };
    // Where starts were refused there is no p99 to draw a line to.
    assert!((knee.value - 700.0).abs() < 1.0, "{knee:?}");
    let rates: Vec<f64> = load.rates.iter().map(|r| r.offered_per_s).collect();
    assert_eq!(rates, [100.0, 700.0, 1100.0]);
    let follows: Vec<bool> = load.rates.iter().map(|r| r.follows).collect();
    assert_eq!(follows, [true, true, false]);
    let p50 = load.rates[1].quantile(0.5).expect("starts");
    assert!(
        (p50.value - 40_000.0).abs() < 100.0 && p50.interval.is_ok(),
        "{p50:?}"
    );
    let p99 = load.rates[2].quantile(0.99).expect("starts");
    assert!(p99.value.is_infinite(), "{p99:?}");
}

#[test]
fn tables_say_what_is_too_few_and_what_never_ended() {
    let said = terminal(&loaded());
    let row = |rate: &str| {
        let of_rate = |line: &&str| line.split_whitespace().nth(1) == Some(rate);
        said.lines()
            .find(of_rate)
            .unwrap_or_else(|| panic!("{rate} in {said}"))
    };
    // 600 starts: enough for p99, not for p99.9.
    assert!(row("100").contains("too few"), "{}", row("100"));
    assert!(row("1.10").contains("never"), "{}", row("1.10"));
    assert!(
        row("1.10").contains("1200") && row("1.10").ends_with('>'),
        "{}",
        row("1.10")
    );
    assert!(
        said.contains("The generator") && said.contains("0.030 of a CPU"),
        "{said}"
    );
}

#[test]
fn what_the_generator_was_late_with_counts_nowhere_and_is_said() {
    let mut records = loaded();
    for measured in records.loads.iter_mut().filter(|m| m.point.process <= 2) {
        measured.point.generator.unfit = Some("the generator was late: p99 2 ms".into());
    }
    let summary = RunSummary::from_records(&records);
    let row = &summary.loads[0].rates[0];
    assert_eq!(row.arrivals, 400);
    assert_eq!(row.unfit.as_ref().map(|u| u.0), Some(2));
    let said = terminal(&records);
    assert!(
        said.contains("2 of its points do not count: the generator was late"),
        "{said}"
    );
    for measured in &mut records.loads {
        measured.point.generator.unfit = Some("late".into());
    }
    let summary = RunSummary::from_records(&records);
    assert_eq!(summary.loads[0].knee, Knee::Unknown);
    assert!(!terminal(&records).is_empty());
}

#[test]
fn files_are_made_from_the_points_alone() {
    let mut records = loaded();
    let command_line = ["runtime_bench", "load", "--with-paper"].map(str::to_owned);
    records.info = RunInfo {
        parts: vec![Part {
            command_line: command_line.to_vec(),
            ..Part::default()
        }],
        ..RunInfo::default()
    };
    let files = render(&records);
    let content = |name: &str| {
        let found = files.iter().find(|file| file.name == name);
        found.unwrap_or_else(|| panic!("{name}")).content.as_str()
    };
    let csv = content("runtime-bench-load.csv");
    let columns: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(columns.len(), 4, "{csv}");
    assert!(columns.iter().all(|&count| count == columns[0]), "{csv}");
    assert!(content("runtime-bench-load-knee.csv").contains(",at,"));
    assert!(content("load.svg").contains("Docker (published)"));
    assert!(content("load-shares.svg").contains("wasm"));
    assert!(content("report.md").contains("## Under load"));
    assert!(content("summary.json").contains("\"load\""));
    assert!(
        render(&Records::default())
            .iter()
            .all(|file| !file.name.contains("load"))
    );
}

#[test]
fn what_keeping_workers_saves_is_shown_for_functions_by_name() {
    let mut records = loaded();
    records.loads.truncate(1);
    records.loads.push(measured(1, 50.0, 20_000, 0));
    records.loads[1].point.function = "demo/sieve".into();
    for measured in &mut records.loads {
        measured.point.kept_alive = vec![KeptAlive {
            kept_ns: SECOND,
            starts: 100,
            cold: 25,
            workers_mean: 1.5,
            workers_max: 3,
        }];
    }
    let said = terminal(&records);
    assert!(said.contains("wasm demo/sieve"), "{said}");
    let kept = said.lines().find(|line| line.contains("25.0 %"));
    assert!(
        kept.is_some_and(|line| line.contains("1.00 s") && line.contains("1.50")),
        "{said}"
    );
}
