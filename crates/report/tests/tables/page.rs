//! `report.html` of made-up records.

use measure_core::contract::Probe;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use report::Records;
use table::summary::{SUMMARY, Summary};

use crate::capacity::ramp;
use crate::load::loaded;
use crate::made::{Made, content, info, rung_info};
use crate::scaling::batches;
use crate::time::handlers;

const PAGE: &str = "report.html";

/// A run that has something for every view.
fn everything() -> Records {
    let mut made = Made::default();
    handlers(&mut made);
    made.designs("docker-none", 7, 300_000);
    batches(&mut made);
    ramp(&mut made, "wasm", "limit");
    for rung in ["faaslet", "docker-none"] {
        for process in 1..=7_u32 {
            made.process = process;
            made.block += 1;
            let n = u64::from(process);
            let (weight, once) = (Value::Value(9_000 * i64::from(process)), Value::Value(4096));
            let pages = Metric::PageTablesBytes;
            made.add(
                rung,
                Measure::Hold,
                phase::BEFORE,
                pages.clone(),
                once.clone(),
                n,
            );
            made.add(rung, Measure::Hold, phase::PARKED, pages, weight.clone(), n);
            made.add(
                rung,
                Measure::Hold,
                phase::PARKED,
                Metric::PssBytes,
                weight,
                n,
            );
            for measure in [Measure::Disk, Measure::DropCaches] {
                made.add(
                    rung,
                    measure,
                    phase::TOTAL,
                    Metric::ReadBytes,
                    once.clone(),
                    1,
                );
            }
            let quiet = Value::Value(0);
            made.add(
                rung,
                Measure::Host,
                phase::TOTAL,
                Metric::Disturbed,
                quiet,
                1,
            );
        }
    }
    let gone = Value::Unavailable("it is not installed".into());
    made.add("gone", Measure::Probe, phase::TOTAL, Metric::Ready, gone, 1);
    let rungs = ["process", "faaslet", "docker-none", "wasm"];
    let mut run = info(rungs.map(|rung| rung_info(rung, Probe::Ready)).to_vec());
    run.parts[0].profile = "scaling".into();
    run.parts[0].notes = vec!["a note".into()];
    let mut records = made.records(run);
    records.loads = loaded().loads;
    records
}

#[test]
fn every_view_has_its_section_and_every_column_says_what_it_means() {
    let page = content(&everything(), PAGE);
    for title in [
        "Not measured, or not to the end",
        "The ladder",
        "One cold start",
        "A handler: its first byte, and a request",
        "Rung by rung",
        "Phases of a start",
        "Starts per second",
        "Scaling",
        "CPU per start",
        "Disk I/O per start",
        "Memory of parked workers",
        "Under load",
        "How many fit",
        "The host meanwhile",
        "What each rung isolates",
        "How each was measured",
        "Notes",
    ] {
        assert!(page.contains(&format!(">{title}</h2>")), "{title}");
    }
    let headers = page.split("<th scope=\"col\"").skip(1);
    let headers: Vec<&str> = headers
        .filter_map(|rest| rest.split("</th>").next())
        .collect();
    assert!(headers.len() > 100, "{}", headers.len());
    for header in headers {
        assert!(header.contains("title="), "{header} says nothing");
    }
    assert!(page.contains("href=\"#rung-wasm\"") && page.contains("id=\"rung-wasm\""));
    assert!(!page.contains("NaN") && !page.contains(">inf"));
}

#[test]
fn the_tables_have_the_cells_of_those_that_pages_show() {
    let records = everything();
    let page = content(&records, PAGE);
    let summary: Summary = serde_json::from_str(&content(&records, SUMMARY)).expect("its form");
    assert!(summary.tables.len() > 6, "{:?}", summary.tables.keys());
    for (name, table) in &summary.tables {
        for cell in table.rows().iter().flatten() {
            let cell = cell
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            assert!(page.contains(&format!(">{cell}<")), "{name}: {cell}");
        }
    }
}

#[test]
fn pictures_show_curves_of_load_capacity_scaling_and_handlers() {
    let page = content(&everything(), PAGE);
    for words in [
        "wasm: a start over the rate of arrivals; p99 is to stay within 1.00 ms, knee 700",
        "Starts a second that a rung holds",
        "wasm: one more start beside parked workers",
        "wasm: what parked workers weigh together",
        "wasm: starts per second over workers",
        "First byte of a cold start, and a request",
        "PSS of the whole scope by parked workers",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn a_run_of_nothing_is_a_page_all_the_same() {
    let page = content(&Records::default(), PAGE);
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"),
        "{page}"
    );
}
