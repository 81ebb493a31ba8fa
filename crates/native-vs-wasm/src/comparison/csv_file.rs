//! The CSV files: the rows that old scripts read, and the ratios.

use super::{Comparison, Row};
use measure_core::contract::vocabulary::phase::KERNEL;
use stats::Interval;

/// `benchmark,type,microseconds`, a row per run: the kernel's time. In the order of the run's list, within
/// a benchmark by column, within a column as measured.
#[must_use]
pub fn rows(comparison: &Comparison) -> String {
    let mut text = String::from("benchmark,type,microseconds\n");
    for benchmark in &comparison.info.benchmarks {
        for column in &comparison.info.columns {
            for sample in comparison.runs(benchmark, &column.name, KERNEL) {
                if let Some(ns) = sample.value.number().filter(|_| sample.n > 0) {
                    let us = ns as f64 / sample.n as f64 / 1e3;
                    text += &format!("{},{},{us:.3}\n", benchmark.name, column.name);
                }
            }
        }
    }
    text
}

/// A row per benchmark and column.
pub(super) fn ratios(comparison: &Comparison, rows: &[Row<'_>]) -> String {
    let mut text = String::from(
        "benchmark,group,type,runs,repeats,kernel_median_us,kernel_mad_us,whole_median_us,kernel_ratio,kernel_ratio_low,kernel_ratio_high,whole_ratio,whole_ratio_low,whole_ratio_high\n",
    );
    for row in rows {
        for cell in &row.cells {
            let us =
                |value: Option<f64>| value.map_or(String::new(), |v| format!("{:.3}", v / 1e3));
            let kernel = cell.kernel.summary;
            let mut cells = vec![
                row.benchmark.name.clone(),
                row.benchmark.group.clone(),
                cell.column.to_owned(),
                cell.kernel.values.len().to_string(),
                row.benchmark.repeats.to_string(),
                us(kernel.map(|s| s.median)),
                us(kernel.map(|s| s.mad)),
                us(cell.whole.summary.map(|s| s.median)),
            ];
            for ratio in [cell.kernel.ratio, cell.whole.ratio] {
                let interval = ratio.and_then(|r| r.interval);
                let ends: fn(Interval) -> [f64; 2] = |i| [i.lo, i.hi];
                let [low, high] = interval.map_or([None, None], |i| ends(i).map(Some));
                for value in [ratio.map(|r| r.ratio), low, high] {
                    cells.push(value.map_or(String::new(), |v| format!("{v:.4}")));
                }
            }
            text += &cells.join(",");
            text.push('\n');
        }
    }
    debug_assert_eq!(
        comparison.info.benchmarks.len() * comparison.info.columns.len() + 1,
        text.lines().count()
    );
    text
}
