//! What the samples say of each benchmark, column by column, and the means over a group.

use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::{KERNEL, TOTAL};
use stats::{Flag, GeometricMean, Ratio, Summary, flags, geometric_mean_of_ratios, median_ratio};

use super::{BenchmarkInfo, Comparison, seed_of};

/// A benchmark.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// What is known of it.
    pub benchmark: &'a BenchmarkInfo,
    /// One per column, in their order.
    pub cells: Vec<Cell<'a>>,
}

/// A benchmark in a column.
#[derive(Debug, Clone)]
pub struct Cell<'a> {
    /// The column.
    pub column: &'a str,
    /// One run of the kernel, nanoseconds.
    pub kernel: Times,
    /// A whole run of the program, start to reaped or torn down, nanoseconds.
    pub whole: Times,
}

/// Values of one benchmark in one column.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// In the order of measurement.
    pub values: Vec<f64>,
    /// The same in brief.
    pub summary: Option<Summary>,
    /// Over the reference column; `None` for that column itself.
    pub ratio: Option<Ratio>,
    /// Outliers, drift, modes: what a reader of the median should know.
    pub flags: Vec<Flag>,
}

impl Row<'_> {
    /// The cell of `column`.
    #[must_use]
    pub fn cell(&self, column: &str) -> Option<&Cell<'_>> {
        self.cells.iter().find(|cell| cell.column == column)
    }
}

/// A row per benchmark, in the order of the run's list.
#[must_use]
pub fn rows(comparison: &Comparison) -> Vec<Row<'_>> {
    let benchmarks = comparison.info.benchmarks.iter();
    benchmarks.map(|b| row(comparison, b)).collect()
}

pub(super) fn row<'a>(comparison: &'a Comparison, benchmark: &'a BenchmarkInfo) -> Row<'a> {
    let seed = seed_of(comparison, &benchmark.name);
    let reference = comparison.info.reference.as_deref();
    let times = |column: &str, phase: &str| {
        let samples = comparison.runs(benchmark, column, phase);
        let values: Vec<f64> = samples.filter_map(per_run).collect();
        let ratio = reference.filter(|&r| r != column).and_then(|reference| {
            let below = comparison.runs(benchmark, reference, phase);
            let below: Vec<f64> = below.filter_map(per_run).collect();
            median_ratio(&values, &below, seed)
        });
        Times {
            summary: Summary::from_values(&values, seed),
            ratio,
            flags: flags(&values),
            values,
        }
    };
    let cells = comparison.info.columns.iter().map(|column| Cell {
        column: &column.name,
        kernel: times(&column.name, KERNEL),
        whole: times(&column.name, TOTAL),
    });
    Row {
        benchmark,
        cells: cells.collect(),
    }
}

/// Divided here, once.
fn per_run(sample: &Sample) -> Option<f64> {
    let value = sample.value.number()?;
    (sample.n > 0).then(|| value as f64 / sample.n as f64)
}

/// The geometric mean of a column over the reference in a group.
#[derive(Debug, Clone)]
pub struct Mean<'a> {
    /// The group.
    pub group: &'a str,
    /// The column.
    pub column: &'a str,
    /// How many benchmarks the group has, measured or not.
    pub of: usize,
    /// Of the kernel's time.
    pub kernel: GeometricMean,
    /// Of the whole run.
    pub whole: Option<GeometricMean>,
    /// The benchmark with the largest ratio, and that.
    pub largest: Option<(&'a str, Ratio)>,
}

/// The means of every column but the reference, for every group with a ratio.
#[must_use]
pub fn means<'a>(comparison: &'a Comparison, rows: &[Row<'a>]) -> Vec<Mean<'a>> {
    let Some(reference) = comparison.info.reference.as_deref() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for group in comparison.groups() {
        let of_group: Vec<&Row<'a>> = rows.iter().filter(|r| r.benchmark.group == group).collect();
        for column in &comparison.info.columns {
            if column.name != reference {
                found.extend(mean(comparison, group, &column.name, reference, &of_group));
            }
        }
    }
    found
}

/// The kernel's times or the whole run's.
type Pick = for<'c, 'd> fn(&'c Cell<'d>) -> &'c Times;

fn mean<'a>(
    comparison: &'a Comparison,
    group: &'a str,
    column: &'a str,
    reference: &str,
    rows: &[&Row<'a>],
) -> Option<Mean<'a>> {
    let pairs = |times: Pick| {
        let pairs: Vec<(Vec<f64>, Vec<f64>)> = rows
            .iter()
            .filter_map(|row| {
                let top = times(row.cell(column)?);
                top.ratio?;
                Some((
                    top.values.clone(),
                    times(row.cell(reference)?).values.clone(),
                ))
            })
            .collect();
        geometric_mean_of_ratios(&pairs, seed_of(comparison, group))
    };
    let ratios = rows.iter().filter_map(|row| {
        let cell = row.cells.iter().find(|cell| cell.column == column)?;
        Some((row.benchmark.name.as_str(), cell.kernel.ratio?))
    });
    Some(Mean {
        group,
        column,
        of: rows.len(),
        kernel: pairs(|cell| &cell.kernel)?,
        whole: pairs(|cell| &cell.whole),
        largest: ratios.max_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio)),
    })
}
