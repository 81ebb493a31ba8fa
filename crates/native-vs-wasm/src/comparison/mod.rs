//! Benchmarks that ran in several columns (native, Wasm, ...): their ratios as tables, plots, bars and CSV.
//!
//! A run of `poly_bench` or `py_bench` writes samples whose `rung` is the column and whose measure is
//! [`Measure::Run`](measure_core::contract::vocabulary::Measure::Run), and [`COMPARISON`], which says what it set out to do. From these two everything here is made.

mod bars;
mod csv_file;
mod curve;
mod markdown;
mod page;
mod plot;
pub mod pyperf;
mod records;
mod rows;
mod summary_file;
mod table;

use report::html::REPORT;

use plot::plot_name;

pub use csv_file::{rows as csv_rows, whole_runs as csv_whole_runs};
pub use records::{BenchmarkInfo, COMPARISON, ColumnInfo, Comparison, ComparisonInfo};
pub(crate) use rows::by_process;
pub use rows::{BEST_NATIVE, Cell, Mean, Row, Times, means, rows};
pub use table::{line, terminal};

/// Every file that is made from a comparison's records, name and content.
#[must_use]
pub fn render(comparison: &Comparison) -> Vec<(String, String)> {
    let found = rows(comparison);
    let suite = &comparison.info.suite;
    let mut files = vec![
        (format!("{suite}.csv"), csv_rows(comparison)),
        (
            format!("{suite}-ratios.csv"),
            csv_file::ratios(comparison, &found),
        ),
        ("report.md".to_owned(), markdown::render(comparison, &found)),
        (REPORT.to_owned(), page::render(comparison, &found)),
        summary_file::render(comparison, &found),
    ];
    if comparison.info.columns.iter().any(|c| c.curve.is_some()) {
        files.push((format!("{suite}-curve.csv"), curve::csv(comparison)));
    }
    for group in comparison.groups() {
        if let Some(svg) = plot::svg(comparison, group, &found) {
            files.push((plot_name(group), svg));
        }
    }
    files
}
