//! Iterations of processes that live on: how they get faster, and from where on they stay as they are. A mean over all
//! of them would mix both (Barrett et al., OOPSLA 2017).

use std::collections::BTreeMap;

use ::table::{Align, Table};
use measure_core::contract::vocabulary::phase::ITERATION;
use report::{duration_ns, ratio};
use stats::levels::{self, Levels};

use super::records::{BenchmarkInfo, Comparison};

/// So much around the level of the second half is still that level.
const NEAR: f64 = 0.05;
/// One iteration that was disturbed is no change: of so many the median counts.
const WINDOW: usize = 3;
/// Iterations that tables show.
const SHOWN: [usize; 8] = [1, 2, 3, 5, 10, 20, 50, 100];

/// A benchmark in a column whose processes make many iterations.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// Nanoseconds by process and iteration.
    processes: BTreeMap<u32, Vec<f64>>,
    /// By iteration, over the processes that came so far.
    medians: Vec<f64>,
}

impl Curve {
    /// What was measured of `benchmark` in `column`; `None` of a column whose processes end after one run.
    pub(super) fn of_column(
        comparison: &Comparison,
        benchmark: &BenchmarkInfo,
        column: &str,
    ) -> Option<Self> {
        let known = comparison.info.columns.iter().find(|c| c.name == column);
        known?.curve?;
        let mut processes: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for sample in comparison.runs(benchmark, column, ITERATION) {
            let ns = sample.value.number()?;
            processes.entry(sample.process).or_default().push(ns as f64);
        }
        Some(Self::new(processes))
    }

    fn new(processes: BTreeMap<u32, Vec<f64>>) -> Self {
        let longest = processes.values().map(Vec::len).max().unwrap_or(0);
        let medians = (0..longest).filter_map(|iteration| {
            let there = processes.values().filter_map(|p| p.get(iteration));
            median(&there.copied().collect::<Vec<_>>())
        });
        Self {
            medians: medians.collect(),
            processes,
        }
    }

    /// The first iteration, from 0, from which on all are near the level of the second half; `None` if that is still
    /// changing.
    fn steady_from(&self) -> Option<usize> {
        let half = self.medians.len() / 2;
        let level = median(&self.medians[half..])?;
        let windows: Vec<f64> = self.medians.windows(WINDOW).filter_map(median).collect();
        let is_off = |value: &f64| (value / level - 1.0).abs() > NEAR;
        let from = windows.iter().rposition(is_off).map_or(0, |last| last + 1);
        // A window that holds the level may begin with what does not.
        let near = self.medians[from..].iter().position(|v| !is_off(v));
        let from = from + near?;
        (!windows.is_empty() && from <= half).then_some(from)
    }

    /// The iterations that are past the warm-up, or, where there is no steady state, the second half.
    pub(super) fn steady_levels(&self) -> Option<Levels> {
        let from = self.steady_from().unwrap_or(self.medians.len() / 2);
        let each = self.processes.iter();
        Levels::from_observations(each.flat_map(|(&process, values)| {
            let steady = values.iter().skip(from);
            steady.map(move |&value| (process, 0, value))
        }))
    }
}

fn median(values: &[f64]) -> Option<f64> {
    Levels::one_per_process(values).map(|levels| levels::median(&levels).value)
}

fn curves(comparison: &Comparison) -> Vec<(&str, &str, Curve)> {
    let mut found = Vec::new();
    for benchmark in &comparison.info.benchmarks {
        for column in &comparison.info.columns {
            let curve = Curve::of_column(comparison, benchmark, &column.name);
            if let Some(curve) = curve.filter(|curve| !curve.processes.is_empty()) {
                found.push((benchmark.name.as_str(), column.name.as_str(), curve));
            }
        }
    }
    found
}

/// A row per benchmark and column; `None` where no process lives on.
pub(super) fn table(comparison: &Comparison) -> Option<Table> {
    let curves = curves(comparison);
    let longest = curves.iter().map(|(.., c)| c.medians.len()).max()?;
    let mut table = Table::new(&[("benchmark", Align::Left), ("column", Align::Left)]);
    let shown: Vec<usize> = SHOWN.into_iter().filter(|&i| i <= longest).collect();
    for i in &shown {
        table.column(&format!("iteration {i}"), Align::Right);
    }
    table.column("steady from", Align::Right);
    table.column("steady", Align::Left);
    table.column("first/steady", Align::Right);
    for (benchmark, column, curve) in &curves {
        let mut cells = vec![(*benchmark).to_owned(), (*column).to_owned()];
        for i in &shown {
            let value = curve.medians.get(i - 1);
            cells.push(value.map_or("-".to_owned(), |&ns| duration_ns(ns)));
        }
        let from = curve.steady_from();
        cells.push(from.map_or("not yet".to_owned(), |from| (from + 1).to_string()));
        let steady = curve.steady_levels().map(|l| levels::median(&l));
        cells.push(steady.map_or("-".to_owned(), |steady| {
            let interval = steady.interval.map_or_else(
                |_| "unchecked".to_owned(),
                |i| format!("[{}, {}]", duration_ns(i.lo), duration_ns(i.hi)),
            );
            format!("{} {interval}", duration_ns(steady.value))
        }));
        let first = curve.medians.first().zip(steady);
        cells.push(first.map_or("-".to_owned(), |(first, s)| ratio(first / s.value)));
        table.row(cells);
    }
    Some(table)
}

/// What its columns are.
pub(super) const ABOUT: &str = "Medians over processes that each make all iterations. Steady: from there on all within 5 % of the second half; else its median is of the second half.";

/// For a terminal; empty where no process lives on.
pub(super) fn text(comparison: &Comparison, width: Option<usize>) -> String {
    table(comparison).map_or(String::new(), |table| {
        format!("iteration by iteration\n{}{ABOUT}\n\n", table.text(width))
    })
}

/// For a page; empty where no process lives on.
pub(super) fn markdown(comparison: &Comparison) -> String {
    table(comparison).map_or(String::new(), |table| {
        format!(
            "## Iteration by iteration\n\n{}\n{ABOUT}\n\n",
            table.markdown()
        )
    })
}

/// Every iteration of every process.
pub(super) fn csv(comparison: &Comparison) -> String {
    let mut text = String::from("benchmark,type,process,iteration,microseconds\n");
    for (benchmark, column, curve) in curves(comparison) {
        for (process, values) in &curve.processes {
            for (iteration, ns) in (1..).zip(values) {
                let us = ns / 1e3;
                text += &format!("{benchmark},{column},{process},{iteration},{us:.3}\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        let process = |p: u32| {
            (
                p,
                values
                    .iter()
                    .map(|v| v * (1.0 + f64::from(p) / 1e3))
                    .collect(),
            )
        };
        Curve::new((1..=6).map(process).collect())
    }

    #[test]
    fn a_warm_up_is_told_from_the_steady_state() {
        let mut values = vec![9.0, 5.0, 3.0];
        values.extend([1.0; 17]);
        // One that was disturbed is none.
        values[12] = 4.0;
        let found = curve(&values);
        assert_eq!(found.steady_from(), Some(3));
        let steady = found.steady_levels().expect("values");
        assert_eq!((steady.processes().len(), steady.starts()), (6, 6 * 17));
        assert!((levels::median(&steady).value - 1.0).abs() < 0.01);
        assert_eq!(curve(&[1.0; 8]).steady_from(), Some(0));
    }

    #[test]
    fn what_still_changes_has_no_steady_state() {
        let falling: Vec<f64> = (0..20).map(|i| 100.0 - 4.0 * f64::from(i)).collect();
        let found = curve(&falling);
        assert_eq!(found.steady_from(), None);
        assert_eq!(found.steady_levels().expect("the half").starts(), 6 * 10);
        // Nothing can be said of one or two, and nothing at all of none.
        assert_eq!(curve(&[1.0, 1.0]).steady_from(), None);
        let none = Curve::new(BTreeMap::new());
        assert_eq!((none.steady_from(), none.steady_levels()), (None, None));
    }
}
