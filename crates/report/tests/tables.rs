//! Tables of made-up records whose numbers are known.

use measure_core::contract::run_info::{Part, RunInfo, RungInfo};
use measure_core::contract::sample::{SCHEMA, Sample, Value};
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use measure_core::contract::{Description, Isolation, Probe};
use report::{MemoryRow, Records, RunSummary, TimeRow};

/// Samples of one run, built up.
#[derive(Default)]
struct Made {
    samples: Vec<Sample>,
    block: u32,
}

impl Made {
    fn add(
        &mut self,
        rung: &str,
        measure: Measure,
        phase: &str,
        metric: Metric,
        value: Value,
        n: u64,
    ) -> &mut Sample {
        self.samples.push(Sample {
            schema: SCHEMA,
            run: "r".into(),
            rung: rung.into(),
            function: "demo/noop".into(),
            measure,
            phase: phase.into(),
            metric,
            value,
            n,
            workers: 1,
            process: 0,
            block: self.block,
            order: 0,
            seed: 7,
            warmup: false,
            error: None,
        });
        self.samples.last_mut().expect("just pushed")
    }

    fn starts(&mut self, rung: &str, totals: &[i64]) {
        self.block += 1;
        for &ns in totals {
            self.add(
                rung,
                Measure::Start,
                phase::TOTAL,
                Metric::WallNs,
                Value::Value(ns),
                1,
            );
            self.add(
                rung,
                Measure::Start,
                "create",
                Metric::WallNs,
                Value::Value(ns / 4),
                1,
            );
            self.add(
                rung,
                Measure::Start,
                "run",
                Metric::WallNs,
                Value::Value(ns - ns / 4),
                1,
            );
        }
        let sum: i64 = totals.iter().sum();
        let n = totals.len() as u64;
        self.add(
            rung,
            Measure::Batch,
            phase::TOTAL,
            Metric::WallNs,
            Value::Value(sum),
            n,
        );
    }

    fn records(self, info: RunInfo) -> Records {
        Records {
            samples: self.samples,
            torn: false,
            info,
            environment: None,
        }
    }
}

fn render(records: &Records) -> Vec<report::Rendered> {
    report::render(&RunSummary::from_records(records))
}

fn terminal(records: &Records) -> String {
    report::terminal(&RunSummary::from_records(records), None)
}

fn time_rows(records: &Records) -> Vec<TimeRow> {
    let summary = RunSummary::from_records(records);
    summary.times().cloned().collect()
}

fn memory_rows(records: &Records) -> Vec<MemoryRow> {
    let summary = RunSummary::from_records(records);
    summary.memories().cloned().collect()
}

fn content(records: &Records, name: &str) -> String {
    let files = render(records);
    let file = files.iter().find(|f| f.name == name);
    file.unwrap_or_else(|| panic!("no {name}")).content.clone()
}

fn rung_info(rung: &str, probe: Probe) -> RungInfo {
    RungInfo {
        driver: "some-driver".into(),
        description: Description {
            rung: rung.into(),
            summary: "what starts".into(),
            engine: "engine 1".into(),
            cold: "nothing is ready".into(),
            isolation: Isolation {
                memory: "SFI".into(),
                network: "none: that of the host".into(),
                ..Isolation::default()
            },
            settings: Vec::new(),
            max_workers: 4,
            warm: "engine".into(),
            default_function: "demo/noop".into(),
        },
        probe,
        function: None,
        scope: None,
        plan: None,
        failure: None,
        processes: Vec::new(),
    }
}

fn info(rungs: Vec<RungInfo>) -> RunInfo {
    RunInfo {
        schema: SCHEMA,
        run: "r".into(),
        parts: vec![Part {
            name: "time".into(),
            rungs,
            ..Part::default()
        }],
    }
}

#[test]
fn medians_ratios_and_phases_are_those_of_the_samples() {
    let mut made = Made::default();
    made.starts("fast", &[1000, 2000, 3000, 4000, 5000]);
    made.starts(
        "docker-none",
        &[600_000, 600_000, 600_000, 600_000, 600_000],
    );
    let records = made.records(RunInfo::default());
    let rows = time_rows(&records);
    let fast = &rows[0];
    let wall = fast.wall.expect("starts");
    assert_eq!((wall.n, wall.median, wall.mad), (5, 3000.0, 1000.0));
    assert!((fast.reference_over_this.expect("a reference").ratio - 200.0).abs() < 1e-9);
    assert_eq!(
        fast.phases.iter().map(|p| p.0.as_str()).collect::<Vec<_>>(),
        ["create", "run"]
    );
    assert!(rows[1].reference_over_this.is_none(), "no ratio to itself");
    assert!((rows[1].throughput[0].median - 1e9 / 600_000.0).abs() < 1e-6);
    let report = content(&records, "report.md");
    assert!(report.contains("| fast        | 3.00 us |"), "{report}");
    assert!(report.contains("| 200 ["), "{report}");
}

#[test]
fn the_old_form_of_the_time_table_is_kept_and_absent_values_are_empty() {
    let mut made = Made::default();
    made.starts("fast", &[1_500_000_000, 500_000_000]);
    made.add(
        "fast",
        Measure::Cpu,
        phase::TOTAL,
        Metric::CpuNs,
        Value::Value(3_000_000_000),
        4,
    );
    made.add(
        "fast",
        Measure::Cpu,
        phase::TOTAL,
        Metric::CpuCycles,
        Value::Unavailable("no PMU".into()),
        4,
    );
    made.add(
        "fast",
        Measure::Disk,
        phase::TOTAL,
        Metric::ReadBytes,
        Value::Value(0),
        2,
    );
    made.add(
        "fast",
        Measure::Disk,
        phase::TOTAL,
        Metric::WriteBytes,
        Value::Value(8192),
        2,
    );
    // Batches of several workers are no row of this table.
    made.add(
        "fast",
        Measure::Batch,
        phase::TOTAL,
        Metric::WallNs,
        Value::Value(1),
        9,
    )
    .workers = 2;
    let records = made.records(RunInfo::default());
    assert_eq!(
        content(&records, "runtime-bench-time.csv"),
        "Runtime,Measure,Value,Iterations,ValuePerIteration\n\
         fast,elapsed_seconds,2,2,1\n\
         fast,cpu_cycles,,4,\n\
         fast,cpu_seconds,3,4,0.75\n\
         fast,read_bytes,0,2,0\n\
         fast,write_bytes,8192,2,4096\n"
    );
    let report = content(&records, "report.md");
    assert!(
        report.contains("CPU cycles of fast: unavailable: no PMU"),
        "{report}"
    );
    assert!(report.contains("There is no ratio to docker"), "{report}");
}

#[test]
fn failed_and_warming_starts_are_kept_apart() {
    let mut made = Made::default();
    made.starts("fast", &[1000, 1000, 1000]);
    let failed = made.add(
        "fast",
        Measure::Start,
        phase::TOTAL,
        Metric::WallNs,
        Value::Unavailable("exit code 3".into()),
        1,
    );
    failed.error = Some("exit code 3".into());
    made.add(
        "fast",
        Measure::Start,
        phase::TOTAL,
        Metric::WallNs,
        Value::Value(9_000_000),
        1,
    )
    .warmup = true;
    let records = made.records(RunInfo::default());
    let row = &time_rows(&records)[0];
    assert_eq!(row.wall.expect("starts").n, 3);
    assert_eq!(
        (row.failed, row.first_error.as_deref()),
        (1, Some("exit code 3"))
    );
    assert!(
        content(&records, "report.md").contains("1 starts failed, the first with: exit code 3")
    );
}

#[test]
fn what_cannot_run_is_a_row_with_its_reason_and_advice() {
    let mut made = Made::default();
    made.starts("fast", &[1000; 5]);
    made.add(
        "docker-none",
        Measure::Probe,
        phase::TOTAL,
        Metric::Ready,
        Value::Unavailable("no dockerd, apt-get install docker.io".into()),
        0,
    );
    let unavailable = Probe::Unavailable {
        why: "no dockerd".into(),
        mend: "apt-get install docker.io".into(),
    };
    let records = made.records(info(vec![
        rung_info("fast", Probe::Ready),
        rung_info("docker-none", unavailable),
    ]));
    let wanted = "unavailable: no dockerd, apt-get install docker.io";
    assert!(content(&records, "report.md").contains(wanted));
    let short = terminal(&records);
    assert!(short.contains(wanted), "{short}");
    assert!(
        short
            .lines()
            .any(|l| l.starts_with("fast") && l.ends_with("M------")),
        "{short}"
    );
}

#[test]
fn pooled_rows_stand_beside_their_twins() {
    let mut made = Made::default();
    for rung in ["a-pooled", "b", "a", "c-pooled"] {
        made.starts(rung, &[1000; 5]);
    }
    let records = made.records(RunInfo::default());
    let summary = RunSummary::from_records(&records);
    let rungs: Vec<&str> = summary.rungs.iter().map(|r| r.rung).collect();
    assert_eq!(rungs, ["b", "a", "a-pooled", "c-pooled"]);
}

#[test]
fn memory_is_a_line_over_the_workers() {
    let mut made = Made::default();
    for workers in [10_i64, 20, 40] {
        made.block += 1;
        let n = workers.unsigned_abs();
        for noise in [-100, 0, 100] {
            made.add(
                "fast",
                Measure::Hold,
                phase::PARKED,
                Metric::PssBytes,
                Value::Value(5000 + 1000 * workers + noise),
                n,
            );
        }
        made.add(
            "fast",
            Measure::Hold,
            phase::PEAK,
            Metric::PssBytes,
            Value::Value(9000 + 1000 * workers),
            n,
        );
        made.add(
            "fast",
            Measure::Hold,
            phase::BEFORE,
            Metric::MemAvailableBytes,
            Value::Value(1_000_000),
            n,
        );
        made.add(
            "fast",
            Measure::Hold,
            phase::PARKED,
            Metric::MemAvailableBytes,
            Value::Value(990_000 - 2000 * workers),
            n,
        );
        made.add(
            "fast",
            Measure::Trial,
            phase::PARKED,
            Metric::PssBytes,
            Value::Value(1),
            2,
        );
        made.add(
            "fast",
            Measure::Hold,
            phase::PARKED,
            Metric::WalkNs,
            Value::Value(1),
            n,
        );
    }
    let records = made.records(RunInfo::default());
    let rows = memory_rows(&records);
    let fit = |measure: &str| {
        rows.iter()
            .find(|r| r.quantity.to_string() == measure)
            .and_then(|r| r.fit)
            .expect("a fit")
    };
    assert!(
        (fit("pss_bytes").slope - 1000.0).abs() < 1e-6
            && (fit("pss_bytes").intercept - 5000.0).abs() < 1e-6
    );
    assert!((fit("peak_pss_bytes").intercept - 9000.0).abs() < 1e-6);
    assert!((fit("host_mem_available_bytes_lost").slope - 2000.0).abs() < 1e-6);
    assert_eq!(rows.len(), 3, "times and trials are not weights: {rows:?}");
    assert!(content(&records, "runtime-bench-mem.csv").contains("fast,pss_bytes,45000,40,1125\n"));
    assert!(content(&records, "runtime-bench-mem-fit.csv").starts_with("Runtime,Measure,Slope,"));
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let build = || {
        let mut made = Made::default();
        made.starts(
            "fast",
            &(0..200)
                .map(|i| 1000 + (i * 7919) % 500)
                .collect::<Vec<i64>>(),
        );
        made.starts(
            "docker-none",
            &(0..20)
                .map(|i| 500_000 + (i * 7919) % 90_000)
                .collect::<Vec<i64>>(),
        );
        made.records(info(vec![rung_info("fast", Probe::Ready)]))
    };
    assert_eq!(render(&build()), render(&build()));
    assert_eq!(terminal(&build()), terminal(&build()));
}

#[test]
fn no_records_make_no_tables() {
    let records = Records::default();
    assert_eq!(
        render(&records).iter().map(|f| f.name).collect::<Vec<_>>(),
        ["report.md"]
    );
    assert_eq!(terminal(&records), "");
}
