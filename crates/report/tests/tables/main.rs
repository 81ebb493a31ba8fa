//! Tables of made-up records whose numbers are known.

mod capacity;
mod faasm_csv;
mod load;
mod made;
mod page;
mod paper;
mod scaling;
mod time;

use measure_core::contract::run_info::RunInfo;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use measure_core::contract::{Description, Probe};
use report::{Records, RunSummary};

use made::{Made, content, info, memory_rows, render, rung_info, terminal};

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
        "137 us +-4%",
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
fn rows_with_a_granted_network_are_told_from_those_without() {
    let mut made = Made::default();
    for rung in ["faaslet", "faaslet-pooled", "docker-none"] {
        made.designs(rung, 10, 100);
    }
    let mut rungs: Vec<_> = ["faaslet", "faaslet-pooled", "docker-none"]
        .map(|rung| rung_info(rung, Probe::Ready))
        .into();
    for info in &mut rungs[..2] {
        let granted = format!("{}host.internal:6379", Description::NETWORK_GRANTED);
        info.description.settings.push(granted);
    }
    let records = made.records(info(rungs));
    let words = "network granted to faaslet, faaslet-pooled: host.internal:6379";
    assert!(terminal(&records).contains(words), "{}", terminal(&records));
    let report = content(&records, "report.md");
    assert!(report.contains(words), "{report}");
    let mut made = Made::default();
    made.designs("docker-none", 10, 100);
    let without = made.records(info(vec![rung_info("docker-none", Probe::Ready)]));
    assert!(!terminal(&without).contains("network granted"));
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
fn what_cannot_run_is_a_row_with_its_reason_and_advice() {
    let mut made = Made::default();
    made.designs("fast", 6, 1);
    for rung in ["docker-none", "docker-host"] {
        made.add(
            rung,
            Measure::Probe,
            phase::TOTAL,
            Metric::Ready,
            Value::Unavailable("no dockerd, apt-get install docker.io".into()),
            0,
        );
    }
    let unavailable = Probe::Unavailable {
        why: "no dockerd".into(),
        mend: "apt-get install docker.io".into(),
    };
    let mut plan = info(vec![
        rung_info("fast", Probe::Ready),
        rung_info("docker-none", unavailable.clone()),
        rung_info("docker-host", unavailable),
    ]);
    plan.parts[0].notes.push("the host was disturbed".into());
    let records = made.records(plan);
    let wanted = "unavailable: no dockerd, apt-get install docker.io";
    assert!(content(&records, "report.md").contains(wanted));
    let short = terminal(&records);
    // Each reason once; and what there is to know of the run.
    let line = format!("docker-none, docker-host  {wanted}\nnote: the host was disturbed\n");
    assert!(short.ends_with(&line), "{short}");
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
    let report = content(&records, "report.md");
    assert!(
        report.contains("| fast    | 1000 B unchecked"),
        "three points have no interval: {report}"
    );
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
        ["report.md", "report.html"]
    );
    assert_eq!(terminal(&records), "");
}
