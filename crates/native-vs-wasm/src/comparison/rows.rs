//! What the samples say of each benchmark, column by column, and the means over a group.

use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::Measure;
use measure_core::contract::vocabulary::phase::{KERNEL, TOTAL};
use stats::levels::{self, Estimate, Findings, GeometricMeans, Levels};

use super::curve::Curve;
use super::records::{BenchmarkInfo, ColumnInfo, Comparison};
use crate::column::Side;
use crate::plan::CHOOSING_ORDER;

/// What columns are held against where that differs from one benchmark to the next.
pub const BEST_NATIVE: &str = "best native";

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
    pub column: &'a str,
    /// The column that it is divided by; `None` for the one that it would be itself.
    pub against: Option<&'a str>,
    /// One run of the kernel, nanoseconds.
    pub kernel: Times,
    /// A whole run of the program, start to reaped or torn down, nanoseconds.
    pub whole: Times,
}

/// Values of one benchmark in one column.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// By process.
    pub levels: Option<Levels>,
    /// The median of the processes.
    pub median: Option<Estimate>,
    /// Over the column that it is held against.
    pub ratio: Option<Estimate>,
    /// Outliers, drift, modes, and what of these could not be looked for.
    pub odd: Findings,
}

impl Times {
    /// In the order of measurement; empty if nothing was measured.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.levels.as_ref().map(Levels::values).unwrap_or_default()
    }
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
    let times = |column: &str, against: Option<&str>, phase: &str| {
        let found = by_process(comparison, benchmark, column, phase);
        let below = against.and_then(|below| by_process(comparison, benchmark, below, phase));
        Times {
            median: found.as_ref().map(levels::median),
            ratio: found
                .as_ref()
                .zip(below.as_ref())
                .and_then(|(top, below)| levels::ratio(top, below)),
            odd: found.as_ref().map(levels::flags).unwrap_or_default(),
            levels: found,
        }
    };
    let cells = comparison.info.columns.iter().map(|column| {
        let against = against(comparison, benchmark, column);
        Cell {
            column: &column.name,
            against,
            kernel: times(&column.name, against, KERNEL),
            whole: times(&column.name, against, TOTAL),
        }
    });
    Row {
        benchmark,
        cells: cells.collect(),
    }
}

/// What `column` is divided by: its own twin, else of several native builds the one chosen for the benchmark, else
/// the reference.
fn against<'a>(
    comparison: &'a Comparison,
    benchmark: &'a BenchmarkInfo,
    column: &'a ColumnInfo,
) -> Option<&'a str> {
    let info = &comparison.info;
    if benchmark.best_native.is_some() && info.is_build(&column.name) {
        return None;
    }
    let among = |name: &&String| info.columns.iter().any(|c| c.name == **name);
    let chosen = column.twin.as_ref().filter(among);
    let chosen = chosen.or(benchmark.best_native.as_ref().filter(among));
    let chosen = chosen.or(info.reference.as_ref())?;
    (*chosen != column.name).then_some(chosen.as_str())
}

/// The values of `benchmark` in `column` by process. Until schema 2 all Wasm runs of a column shared one.
pub(crate) fn by_process(
    comparison: &Comparison,
    benchmark: &BenchmarkInfo,
    column: &str,
    phase: &str,
) -> Option<Levels> {
    if phase == KERNEL
        && let Some(curve) = Curve::of_column(comparison, benchmark, column)
    {
        return curve.steady_levels();
    }
    let samples = comparison.runs(benchmark, column, phase);
    let process = |sample: &Sample| match (sample.process, Side::of_column(column)) {
        (0, Side::Native) => u32::try_from(sample.order + 1).unwrap_or(u32::MAX),
        (0, Side::Wasm) => 1,
        (process, _) => process,
    };
    Levels::from_observations(
        samples.filter_map(|sample| Some((process(sample), 0, per_run(sample)?))),
    )
}

/// The kernel's time, in nanoseconds, in the runs of the native build `column` that were to find the fastest one.
pub(super) fn chosen_by(
    comparison: &Comparison,
    benchmark: &BenchmarkInfo,
    column: &str,
) -> Option<f64> {
    let samples = comparison.records.samples.iter().filter(|s| {
        s.measure == Measure::Calibrate
            && s.order >= CHOOSING_ORDER
            && s.function == benchmark.function
            && s.rung == column
            && s.phase == KERNEL
    });
    let mut values: Vec<f64> = samples.filter_map(per_run).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Divided here, once.
fn per_run(sample: &Sample) -> Option<f64> {
    let value = sample.value.number()?;
    (sample.n > 0).then(|| value as f64 / sample.n as f64)
}

/// The geometric mean of a column over what it is held against in a group.
#[derive(Debug, Clone)]
pub struct Mean<'a> {
    pub group: &'a str,
    pub column: &'a str,
    /// What it is held against, or [`BEST_NATIVE`].
    pub against: &'a str,
    /// How many benchmarks the group has, measured or not.
    pub of: usize,
    /// Of the kernel's time.
    pub kernel: GeometricMeans,
    /// Of the whole run.
    pub whole: Option<GeometricMeans>,
    /// The benchmark with the largest ratio, and that.
    pub largest: Option<(&'a str, Estimate)>,
}

/// The means of every column that is held against another, for every group with a ratio.
#[must_use]
pub fn means<'a>(comparison: &'a Comparison, rows: &[Row<'a>]) -> Vec<Mean<'a>> {
    let mut found = Vec::new();
    for group in comparison.groups() {
        let of_group: Vec<&Row<'a>> = rows.iter().filter(|r| r.benchmark.group == group).collect();
        for column in &comparison.info.columns {
            found.extend(mean(group, &column.name, &of_group));
        }
    }
    found
}

/// What the cells of `column` are held against, by one name.
pub(super) fn common_against<'a>(column: &str, rows: &[&Row<'a>]) -> Option<&'a str> {
    let mut names = rows.iter().filter_map(|row| {
        let cell = row.cells.iter().find(|cell| cell.column == column)?;
        let against = cell.against?;
        let chosen = row.benchmark.best_native.as_deref() == Some(against);
        Some(if chosen { BEST_NATIVE } else { against })
    });
    let first = names.next()?;
    Some(if names.all(|name| name == first) {
        first
    } else {
        BEST_NATIVE
    })
}

/// The kernel's times or the whole run's.
type Pick = for<'c, 'd> fn(&'c Cell<'d>) -> &'c Times;

fn mean<'a>(group: &'a str, column: &'a str, rows: &[&Row<'a>]) -> Option<Mean<'a>> {
    let pairs = |times: Pick| {
        let pairs = rows.iter().filter_map(|row| {
            let cell = row.cell(column)?;
            times(cell).ratio?;
            let below = row.cell(cell.against?)?;
            Some((times(cell).levels.as_ref()?, times(below).levels.as_ref()?))
        });
        levels::geometric_mean(&pairs.collect::<Vec<_>>())
    };
    let ratios = rows.iter().filter_map(|row| {
        let cell = row.cells.iter().find(|cell| cell.column == column)?;
        Some((row.benchmark.name.as_str(), cell.kernel.ratio?))
    });
    Some(Mean {
        group,
        column,
        against: common_against(column, rows)?,
        of: rows.len(),
        kernel: pairs(|cell| &cell.kernel)?,
        whole: pairs(|cell| &cell.whole),
        largest: ratios.max_by(|a, b| a.1.value.total_cmp(&b.1.value)),
    })
}

/// Whether a column of it is held against another.
pub(super) fn has_ratio(row: &Row<'_>) -> bool {
    row.cells.iter().any(|cell| cell.kernel.ratio.is_some())
}
