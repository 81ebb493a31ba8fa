//! The time part: designs, percentiles, throughput, CPU, and old runs.

use measure_core::contract::run_info::RunInfo;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};

use crate::made::{Made, content, terminal, time_rows};

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

/// Two handlers, one of which is asked over TCP until it answers.
pub fn handlers(made: &mut Made) {
    made.designs("process", 7, 1000);
    made.designs("faaslet", 7, 100);
    for (rung, unit_ns, polls) in [("process", 1000, true), ("faaslet", 100, false)] {
        for process in 1..=7_i64 {
            made.process = u32::try_from(process).expect("small");
            for (measure, ns) in [(Measure::Isolated, 800), (Measure::BackToBack, 400)] {
                made.block += 1;
                let ns = Value::Value(ns * unit_ns * (99 + process) / 100);
                made.add(
                    rung,
                    measure.clone(),
                    phase::TOTAL,
                    Metric::FirstByteNs,
                    ns,
                    1,
                );
                if polls {
                    let poll = Value::Value(40 * unit_ns * (99 + process) / 100);
                    made.add(rung, measure, phase::POLL, Metric::WallNs, poll, 1);
                }
            }
            made.block += 1;
            for ns in [30, 31, 29] {
                let ns = Value::Value(ns * unit_ns);
                made.add(rung, Measure::Request, phase::TOTAL, Metric::WallNs, ns, 1);
            }
        }
    }
}

#[test]
fn a_handler_has_its_first_byte_and_its_requests_in_a_table_of_their_own() {
    let mut made = Made::default();
    handlers(&mut made);
    let records = made.records(RunInfo::default());
    let rows = time_rows(&records);
    let row = rows[0].handler.as_ref().expect("a handler");
    near(row.first_byte_isolated.expect("seven").value, 824_000.0);
    near(row.first_byte_back_to_back.expect("seven").value, 412_000.0);
    let request = row.request.as_ref().expect("asked");
    near(request.median.value, 30_000.0);
    assert_eq!((request.median.processes, request.median.starts), (7, 21));
    assert!((row.poll_share.expect("polled") - 80.0 / 1200.0).abs() < 1e-4);
    assert_eq!(
        rows[1].handler.as_ref().expect("a handler").poll_share,
        None
    );
    // Neither is in the designs' own medians.
    near(
        rows[0].isolated.as_ref().expect("starts").median.value,
        1_030_000.0,
    );
    let report = content(&records, "report.md");
    for words in [
        "### A handler: its first byte, and a request",
        "| 824 us [",
        "  6.7 % |",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let short = terminal(&records);
    assert!(
        short.contains("first byte, isolated") && short.contains("7:21"),
        "{short}"
    );
    let mut programs = Made::default();
    programs.designs("process", 7, 1000);
    let short = terminal(&programs.records(RunInfo::default()));
    assert!(!short.contains("first byte"), "{short}");
}
