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
    process: u32,
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
            process: self.process,
            block: self.block,
            order: 0,
            seed: 7,
            warmup: false,
            error: None,
        });
        self.samples.last_mut().expect("just pushed")
    }

    /// A start of `measure` with its two phases.
    fn start(&mut self, rung: &str, measure: &Measure, ns: i64) {
        for (phase, ns) in [(phase::TOTAL, ns), ("create", ns / 4), ("run", ns - ns / 4)] {
            let value = Value::Value(ns);
            self.add(rung, measure.clone(), phase, Metric::WallNs, value, 1);
        }
    }

    /// A batch of `totals`, each start of `measure`, and the batch itself.
    fn batch(&mut self, rung: &str, measure: &Measure, totals: &[i64]) {
        self.block += 1;
        for &ns in totals {
            self.start(rung, measure, ns);
        }
        let n = totals.len() as u64;
        let sum = Value::Value(totals.iter().sum());
        self.add(rung, Measure::Batch, phase::TOTAL, Metric::WallNs, sum, n);
    }

    /// As schema 1 had it: one process, and designs not told apart.
    fn pooled(&mut self, rung: &str, totals: &[i64]) {
        self.batch(rung, &Measure::Start, totals);
    }

    /// `processes` processes; the first makes starts of 1000 `unit_ns` alone and of 500 in a loop, each next one 1 % slower ones.
    fn designs(&mut self, rung: &str, processes: u32, unit_ns: i64) {
        for process in 1..=processes {
            self.process = process;
            let slower = |per_mille: i64| unit_ns * per_mille * i64::from(99 + process) / 100;
            self.block += 1;
            for (turn, per_mille) in [990, 1000, 1010].into_iter().enumerate() {
                let from = self.samples.len();
                self.start(rung, &Measure::Isolated, slower(per_mille));
                for sample in &mut self.samples[from..] {
                    sample.order = turn as u64;
                }
            }
            for _ in 0..2 {
                let totals = [490, 495, 500, 505, 510].map(slower);
                self.batch(rung, &Measure::BackToBack, &totals);
            }
            let cpu = Value::Value(4 * slower(300));
            self.add(rung, Measure::Cpu, phase::TOTAL, Metric::CpuNs, cpu, 4);
        }
        self.process = 0;
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

fn near(ours: f64, wanted: f64) {
    assert!((ours / wanted - 1.0).abs() < 1e-9, "{ours} is not {wanted}");
}

#[test]
fn each_design_has_its_own_medians_ratios_and_phases() {
    let mut made = Made::default();
    made.designs("fast", 7, 1);
    made.designs("docker-none", 7, 600);
    let records = made.records(RunInfo::default());
    let rows = time_rows(&records);
    let (fast, docker) = (&rows[0], &rows[1]);
    let isolated = fast.isolated.as_ref().expect("starts");
    // The fourth of seven processes.
    near(isolated.median.value, 1030.0);
    assert_eq!((isolated.median.processes, isolated.median.starts), (7, 21));
    assert_eq!(
        isolated.batches(),
        21,
        "each isolated start is a batch of its own"
    );
    let interval = isolated.median.interval.expect("seven processes");
    assert!(interval.lo >= 1000.0 && interval.hi <= 1060.0 && interval.contains(1030.0));
    let loops = fast.back_to_back.as_ref().expect("starts");
    near(loops.median.value, 515.0);
    assert_eq!((loops.median.starts, loops.batches()), (70, 14));
    for row in [isolated, loops] {
        let over = row.reference_over_this.expect("a reference");
        assert!((over.value / 600.0 - 1.0).abs() < 0.001, "{over:?}");
        assert_eq!(
            row.phases
                .iter()
                .map(|p| p.name.as_str())
                .collect::<Vec<_>>(),
            ["create", "run"]
        );
    }
    let own = docker.isolated.as_ref().expect("starts");
    assert!(own.reference_over_this.is_none(), "no ratio to itself");
    let rate = docker.throughput[0].rate;
    assert_eq!((rate.processes, docker.throughput[0].batches), (7, 14));
    assert!(
        rate.interval.expect("seven").contains(1e9 / 309_000.0),
        "{rate:?}"
    );
    near(fast.cpu_ns.mean.expect("batches").value, 309.0);
    let report = content(&records, "report.md");
    for words in [
        "### One cold start, isolated",
        "### One cold start, back to back",
        "| fast        | 1.03 us [",
        "| 600 [586, 615]",
        "- unchecked: p99 needs 500 starts: fast (21), docker-none (21)",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn too_few_processes_have_no_interval_and_that_is_said() {
    let mut made = Made::default();
    made.designs("fast", 3, 1);
    let records = made.records(RunInfo::default());
    let report = content(&records, "report.md");
    assert!(report.contains("| 1.01 us unchecked |"), "{report}");
    assert!(
        report.contains("- unchecked: 6 processes are needed: fast (3)"),
        "{report}"
    );
    let short = terminal(&records);
    assert!(short.contains("1.01 us unchecked"), "{short}");
    assert!(
        short.contains("unchecked: fewer than 6 processes"),
        "{short}"
    );
}

#[test]
fn runs_of_schema_1_are_shown_as_pooled_without_claims() {
    let mut made = Made::default();
    made.pooled("fast", &[1000, 2000, 3000, 4000, 5000]);
    made.pooled("docker-none", &[600_000; 5]);
    let records = made.records(RunInfo::default());
    let row = &time_rows(&records)[0];
    assert!(row.isolated.is_none() && row.back_to_back.is_none());
    let pooled = row.pooled.expect("starts");
    assert_eq!((pooled.n, pooled.median, pooled.mad), (5, 3000.0, 1000.0));
    let report = content(&records, "report.md");
    assert!(report.contains("### Pooled (schema 1)"), "{report}");
    assert!(report.contains("| fast        | 3.00 us |"), "{report}");
    assert!(!report.contains("docker-none / this"), "{report}");
    let short = terminal(&records);
    assert!(short.starts_with("pooled (schema 1)"), "{short}");
    assert!(!short.contains("isolated median"), "{short}");
}

#[test]
fn the_headline_fits_and_says_what_was_warm() {
    let mut made = Made::default();
    for (rung, unit_ns) in [
        ("faaslet", 131),
        ("proto-faaslet-pooled", 18),
        ("docker-none", 315_000),
    ] {
        made.designs(rung, 10, unit_ns);
        for workers in [50_i64, 100] {
            for sweep in 0..3 {
                made.block += 1;
                let pss = Value::Value(8_000_000 + 20_000 * workers + 9_000 * sweep);
                let n = workers.unsigned_abs();
                made.add(rung, Measure::Hold, phase::PARKED, Metric::PssBytes, pss, n);
            }
        }
    }
    let mut run = info(vec![
        rung_info("faaslet", Probe::Ready),
        rung_info("proto-faaslet-pooled", Probe::Ready),
        rung_info("docker-none", Probe::Ready),
    ]);
    run.parts[0].idle_ns = Some(100_000_000);
    let records = made.records(run);
    let wide = terminal(&records);
    assert!(
        wide.lines().all(|line| line.chars().count() <= 120),
        "{wide}"
    );
    for words in [
        "137 us +-3%",
        "10:30+100",
        "19.5 KiB +-2%",
        "idle for 100 ms or longer",
        "warm for faaslet, proto-faaslet-pooled, docker-none: engine",
        "isolates: Memory",
    ] {
        assert!(wide.contains(words), "{words}: {wide}");
    }
    let narrow = report::terminal(&RunSummary::from_records(&records), Some(80));
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 80),
        "{narrow}"
    );
    let summary: table::summary::Summary =
        serde_json::from_str(&content(&records, "summary.json")).expect("its form");
    for name in ["ladder", "isolated", "back-to-back", "memory"] {
        assert!(summary.tables.contains_key(name), "{name}: {summary:?}");
    }
}

#[test]
fn a_csv_has_each_design_with_its_intervals_and_nothing_for_what_is_unchecked() {
    let mut made = Made::default();
    made.designs("fast", 7, 1);
    made.designs("docker-none", 3, 600);
    let csv = content(
        &made.records(RunInfo::default()),
        "runtime-bench-starts.csv",
    );
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let cell = |row: usize, column: &str| {
        let at = rows[0].iter().position(|name| *name == column);
        rows[row][at.expect("a column")]
    };
    assert_eq!(rows.len(), 5, "{csv}");
    assert_eq!(
        ["Runtime", "Design", "Processes", "Starts", "MedianNs"].map(|c| cell(1, c)),
        ["fast", "isolated", "7", "21", "1030"]
    );
    assert!(!cell(1, "MedianLowNs").is_empty() && cell(1, "P99Ns").is_empty());
    assert_eq!(cell(3, "MedianLowNs"), "", "three processes");
    assert!(cell(1, "ReferenceOverThis").starts_with("588.4"), "{csv}");
}

#[test]
fn disturbed_blocks_are_counted_by_reason() {
    let mut made = Made::default();
    made.designs("fast", 6, 1);
    for (phase, value) in [
        (phase::TOTAL, Value::Value(1)),
        ("other-cpu", Value::Value(1)),
        (phase::TOTAL, Value::Value(0)),
        (phase::TOTAL, Value::Unavailable("too short to tell".into())),
    ] {
        made.add("fast", Measure::Host, phase, Metric::Disturbed, value, 0);
    }
    let records = made.records(RunInfo::default());
    let report = content(&records, "report.md");
    let row = report
        .lines()
        .find(|l| l.starts_with("| fast") && l.contains("other-cpu"));
    let cells: Vec<&str> = row.expect("a row").split('|').map(str::trim).collect();
    assert_eq!(cells[1..7], ["fast", "3", "1", "50 %", "1", "other-cpu 1"]);
}

#[test]
fn counts_of_counters_that_took_turns_are_marked() {
    let mut made = Made::default();
    made.designs("fast", 6, 1);
    for (metric, value) in [
        (Metric::CpuCycles, 4000),
        (Metric::CyclesEnabledNs, 900),
        (Metric::CyclesRunningNs, 300),
    ] {
        made.add(
            "fast",
            Measure::Cpu,
            phase::TOTAL,
            metric,
            Value::Value(value),
            4,
        );
    }
    let report = content(&made.records(RunInfo::default()), "report.md");
    assert!(report.contains("| ~1.00 k unchecked |"), "{report}");
    assert!(report.contains("Marked ~: counters took turns"), "{report}");
}

#[test]
fn the_old_form_of_the_time_table_is_kept_and_absent_values_are_empty() {
    let mut made = Made::default();
    made.pooled("fast", &[1_500_000_000, 500_000_000]);
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
}

#[test]
fn failed_and_warming_starts_are_kept_apart() {
    let mut made = Made::default();
    made.designs("fast", 6, 1);
    let failed = Value::Unavailable("exit code 3".into());
    made.add(
        "fast",
        Measure::BackToBack,
        phase::TOTAL,
        Metric::WallNs,
        failed,
        1,
    )
    .error = Some("exit code 3".into());
    let warming = Value::Value(9_000_000);
    made.add(
        "fast",
        Measure::BackToBack,
        phase::TOTAL,
        Metric::WallNs,
        warming,
        1,
    )
    .warmup = true;
    let records = made.records(RunInfo::default());
    let row = &time_rows(&records)[0];
    assert_eq!(row.back_to_back.as_ref().expect("starts").median.starts, 60);
    assert_eq!(
        (row.failed, row.first_error.as_deref()),
        (1, Some("exit code 3"))
    );
    let report = content(&records, "report.md");
    assert!(report.contains("1 starts failed, the first with: exit code 3"));
    assert!(report.contains("There is no ratio to docker"), "{report}");
}

#[test]
fn what_cannot_run_is_a_row_with_its_reason_and_advice() {
    let mut made = Made::default();
    made.designs("fast", 6, 1);
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
        made.designs(rung, 1, 1);
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
        made.designs("fast", 10, 3);
        made.designs("docker-none", 6, 900);
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
