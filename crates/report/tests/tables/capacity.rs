//! Ramps of made-up records.

use measure_core::contract::Probe;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use report::RunSummary;

use crate::made::{Made, content, info, render, rung_info, terminal};

/// A ramp up to 1000 workers of `each_bytes`, 54 KiB of them the kernel's, beside which a start takes 20 us, and one in fifty ten times as long.
pub fn ramp(made: &mut Made, rung: &str, word: &str) {
    for resident in [0_u32, 1, 10, 1000] {
        made.block += 1;
        let n = u64::from(resident);
        let at = if resident == 0 {
            phase::BEFORE
        } else {
            phase::PARKED
        };
        let mut put = |phase: &str, metric: Metric, value: i64| {
            let value = Value::Value(value);
            let sample = made.add(rung, Measure::Capacity, phase, metric, value, n);
            sample.workers = resident;
        };
        let parked = i64::from(resident);
        put(
            at,
            Metric::MemAvailableBytes,
            20_000_000_000 - 80_000 * parked,
        );
        put(
            at,
            Metric::SlabUnreclaimableBytes,
            5_000_000 + 50_000 * parked,
        );
        put(at, Metric::PercpuBytes, 1_000_000 + 4_000 * parked);
        if resident > 0 {
            put(at, Metric::PssBytes, 20_000 * parked);
            put(at, Metric::Processes, 1 + parked / 500);
            put(phase::PARKING, Metric::WallNs, 30_000 * parked);
        }
        for order in 0..50 {
            let ns = if order == 49 {
                200_000
            } else {
                20_000 + parked
            };
            made.start(rung, &Measure::OneMore, ns);
            for sample in made.samples.iter_mut().rev().take(3) {
                sample.workers = resident;
            }
        }
    }
    let resident = Value::Value(1000);
    let end = made.add(
        rung,
        Measure::Capacity,
        word,
        Metric::Resident,
        resident,
        1000,
    );
    end.error = Some("kernel.pid_max is 32768, of which 31130 are used; raise it".into());
}

#[test]
fn a_ramp_says_how_many_what_gave_and_what_each_weighs() {
    let mut made = Made::default();
    ramp(&mut made, "wasm", "limit");
    let records = made.records(info(vec![rung_info("wasm", Probe::Ready)]));
    let summary = RunSummary::from_records(&records);
    let row = summary.rungs[0].capacity.as_ref().expect("a ramp");
    assert_eq!(row.points.len(), 4);
    let fullest = row.fullest().expect("a point");
    assert_eq!((fullest.resident, fullest.start_ns.len()), (1000, 50));
    assert_eq!(fullest.each(fullest.pss_bytes), Some(20_000.0));
    assert_eq!(fullest.each(fullest.kernel_bytes), Some(54_000.0));
    assert_eq!(fullest.each(fullest.available_lost_bytes), Some(80_000.0));
    assert_eq!(fullest.processes, Some(3));
    assert_eq!(row.points[2].parking_ns, Some(30_000.0));
    let gave = row.gave.as_ref().expect("it ended");
    assert_eq!((gave.resident, gave.word.as_str()), (1000, "limit"));
    let text = terminal(&records);
    for words in [
        "wasm",
        "1000",
        "limit",
        "20.0 us",
        "21.0 us",
        "19.5 KiB",
        "52.7 KiB",
        "78.1 KiB",
        "kernel.pid_max is 32768",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("nothing was measured"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
}

#[test]
fn every_form_has_the_ramps() {
    let mut made = Made::default();
    ramp(&mut made, "wasm", "limit");
    ramp(&mut made, "faaslet", "memory");
    let rungs = ["wasm", "faaslet"].map(|rung| rung_info(rung, Probe::Ready));
    let records = made.records(info(rungs.to_vec()));
    let markdown = content(&records, "report.md");
    assert!(markdown.contains("## How many fit"), "{markdown}");
    assert!(markdown.contains("](capacity.svg)"), "{markdown}");
    assert!(markdown.contains("### faaslet on the way"), "{markdown}");
    let csv = content(&records, "runtime-bench-capacity.csv");
    assert_eq!(csv.lines().count(), 1 + 2 * 4, "{csv}");
    assert!(csv.contains("\nfaaslet,1000,50,21000,"), "{csv}");
    assert!(csv.trim_end().ends_with(",memory"), "{csv}");
    let svg = content(&records, "capacity.svg");
    for words in [
        "wasm (1.00 k: limit)",
        "faaslet (1.00 k: memory)",
        "<circle",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert_eq!(render(&records), render(&records), "the same bytes");
}

#[test]
fn a_ramp_that_was_killed_has_the_points_until_then() {
    let mut made = Made::default();
    ramp(&mut made, "wasm", "limit");
    made.samples.truncate(400);
    made.samples.retain(|s| s.metric != Metric::Resident);
    let records = made.records(info(vec![rung_info("wasm", Probe::Ready)]));
    let text = terminal(&records);
    assert!(text.contains("killed"), "{text}");
}

#[test]
fn a_run_without_a_ramp_has_none_of_it() {
    let mut made = Made::default();
    made.designs("wasm", 6, 20);
    let records = made.records(info(vec![rung_info("wasm", Probe::Ready)]));
    assert!(!content(&records, "report.md").contains("How many fit"));
    assert!(
        render(&records)
            .iter()
            .all(|file| !file.name.contains("capacity"))
    );
}
