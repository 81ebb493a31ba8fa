//! The CSV files: the rows that old scripts read, and the ratios.

use super::records::Comparison;
use super::rows::{Row, by_process};
use measure_core::contract::vocabulary::phase::{KERNEL, TOTAL};

/// `benchmark,type,microseconds`, a row per run: the kernel's time. In the order of the run's list, within
/// a benchmark by column, within a column as measured.
#[must_use]
pub fn rows(comparison: &Comparison) -> String {
    let mut text = String::from("benchmark,type,microseconds\n");
    for benchmark in &comparison.info.benchmarks {
        for column in &comparison.info.columns {
            let levels = by_process(comparison, benchmark, &column.name, KERNEL);
            // Of processes that live on one row each.
            let values = levels.map(|levels| match column.curve {
                Some(_) => levels.process_medians(),
                None => levels.values(),
            });
            for ns in values.unwrap_or_default() {
                let us = ns / 1e3;
                text += &format!("{},{},{us:.3}\n", benchmark.name, column.name);
            }
        }
    }
    text
}

/// The same rows of whole runs, from asked for to nothing left of them, in whole microseconds: what the file of that name held
/// in Faasm's repository, whose timer went around the program natively and around the module in Wasm.
#[must_use]
pub fn whole_runs(comparison: &Comparison) -> String {
    let mut text = String::from("benchmark,type,microseconds\n");
    for benchmark in &comparison.info.benchmarks {
        for column in &comparison.info.columns {
            let levels = by_process(comparison, benchmark, &column.name, TOTAL);
            for ns in levels.map(|levels| levels.values()).unwrap_or_default() {
                let us = ns / 1e3;
                text += &format!("{},{},{us:.0}\n", benchmark.name, column.name);
            }
        }
    }
    text
}

/// A row per benchmark and column.
pub(super) fn ratios(comparison: &Comparison, rows: &[Row<'_>]) -> String {
    let mut text = String::from(
        "benchmark,group,type,runs,repeats,kernel_median_us,kernel_mad_us,whole_median_us,kernel_ratio,kernel_ratio_low,kernel_ratio_high,whole_ratio,whole_ratio_low,whole_ratio_high,against,kernel_median_low_us,kernel_median_high_us\n",
    );
    for row in rows {
        for cell in &row.cells {
            let us =
                |value: Option<f64>| value.map_or(String::new(), |v| format!("{:.3}", v / 1e3));
            let (kernel, whole) = (cell.kernel.median, cell.whole.median);
            let mut cells = vec![
                row.benchmark.name.clone(),
                row.benchmark.group.clone(),
                cell.column.to_owned(),
                cell.kernel.values().len().to_string(),
                row.benchmark.repeats.to_string(),
                us(kernel.map(|k| k.value)),
                us(stats::mad(&cell.kernel.values())),
                us(whole.map(|w| w.value)),
            ];
            for ratio in [cell.kernel.ratio, cell.whole.ratio] {
                let interval = ratio.and_then(|r| r.interval.ok());
                let (low, high) = (interval.map(|i| i.lo), interval.map(|i| i.hi));
                for value in [ratio.map(|r| r.value), low, high] {
                    cells.push(value.map_or(String::new(), |v| format!("{v:.4}")));
                }
            }
            let interval = kernel.and_then(|k| k.interval.ok());
            cells.push(cell.against.unwrap_or_default().to_owned());
            cells.extend([interval.map(|i| i.lo), interval.map(|i| i.hi)].map(us));
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
