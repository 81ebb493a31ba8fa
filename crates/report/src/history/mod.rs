//! Many runs in order of time: each row (a rung's start, a parked worker, a benchmark in a column) as a series on each machine, and where it
//! changed.

mod environments;
mod page;
mod read;
mod row;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use stats::Interval;
use stats::changes::{changes, least_p_value};

use crate::differences::differences;

pub use environments::Machine;
pub use read::{HistoryRun, NoHistory, read_run};
pub use row::{Quantity, RowKey, Value};

/// Any change in all series together is taken for one wrongly in one history of twenty in which nothing changes.
const LEVEL_OF_ALL: f64 = 0.05;

/// Places in [`History::runs`] and what was found there, in order of time.
type Points = Vec<(usize, Value)>;
/// A row, and the fingerprint of a machine.
type RowOnMachine<'a> = (&'a RowKey, &'a str);

/// A row on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// What it is of.
    pub key: RowKey,
    /// The fingerprint of the machine.
    pub machine: String,
    /// Places in [`History::runs`] and what was found there, in order of time.
    pub points: Points,
    /// Where it changed.
    pub changes: Vec<RunChange>,
    /// How many runs it takes to find a change, where there are fewer.
    pub too_few_of: Option<usize>,
}

/// A change between two runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunChange {
    /// The last run before it.
    pub last_before: usize,
    /// The first run after it.
    pub first_after: usize,
    /// Values after it over those before.
    pub ratio: f64,
    /// The 95 % interval of that, from 6 runs to either side on.
    pub interval: Option<Interval>,
    /// How likely a permutation of the series is to part as far.
    pub p_value: f64,
    /// What else differs between these two runs: name, before, after.
    pub differs: Vec<[String; 3]>,
}

/// All of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct History {
    /// In order of time.
    pub runs: Vec<HistoryRun>,
    /// By fingerprint.
    pub machines: BTreeMap<String, Machine>,
    /// By row, then machine.
    pub series: Vec<Series>,
    /// The level at which each series was tested.
    pub level: f64,
    /// The least share by which a change counts.
    pub margin: f64,
    /// What was left out, and what to know, in sentences.
    pub notes: Vec<String>,
}

impl History {
    /// Orders `runs` and looks for changes by at least `margin` in every row whose words hold one of `only`, or in all if that is empty.
    #[must_use]
    pub fn new(
        mut runs: Vec<HistoryRun>,
        only: &[String],
        margin: f64,
        notes: Vec<String>,
    ) -> Self {
        runs.sort_by(|a, b| (a.unix_seconds, &a.run).cmp(&(b.unix_seconds, &b.run)));
        let wanted = |key: &RowKey| {
            let words = key.words().to_lowercase();
            only.is_empty() || only.iter().any(|part| words.contains(&part.to_lowercase()))
        };
        let mut found: BTreeMap<RowOnMachine<'_>, Points> = BTreeMap::new();
        let mut machines = BTreeMap::new();
        for (place, run) in runs.iter().enumerate() {
            let machine = &run.machine;
            machines.insert(machine.fingerprint.clone(), machine.clone());
            for (key, value) in run.rows.iter().filter(|(key, _)| wanted(key)) {
                let series = found.entry((key, &machine.fingerprint)).or_default();
                series.push((place, *value));
            }
        }
        // What has one run is no series to be tested.
        let tested = found.values().filter(|points| points.len() > 1).count();
        let level = LEVEL_OF_ALL / tested.max(1) as f64;
        let all: Vec<(RowOnMachine<'_>, Points)> = found.into_iter().collect();
        let series = in_parallel(&all, |((key, machine), points)| {
            series(
                (*key).clone(),
                (*machine).to_owned(),
                points,
                &runs,
                level,
                margin,
            )
        });
        Self {
            machines,
            series,
            level,
            margin,
            notes,
            runs,
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// What the machine with this fingerprint is called.
    fn machine_label(&self, fingerprint: &str) -> String {
        let machine = self.machines.get(fingerprint);
        machine.map_or_else(|| fingerprint.to_owned(), Machine::label)
    }

    /// How many changes there are.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.series.iter().map(|series| series.changes.len()).sum()
    }
}

/// Runs `make` on every one of `items`, by as many threads as there are processors; the results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let make = &make;
        let workers: Vec<_> = items
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().map(make).collect::<Vec<R>>()))
            .collect();
        let mut results = Vec::with_capacity(items.len());
        for worker in workers {
            match worker.join() {
                Ok(made) => results.extend(made),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

fn series(
    key: RowKey,
    machine: String,
    points: &[(usize, Value)],
    runs: &[HistoryRun],
    level: f64,
    margin: f64,
) -> Series {
    let values: Vec<f64> = points.iter().map(|(_, value)| value.value).collect();
    let change = |change: stats::changes::Change| {
        let (last_before, first_after) = (points[change.at - 1].0, points[change.at].0);
        let sides = [last_before, first_after].map(|place| runs[place].environment.as_ref());
        let over = change.after_over_before;
        RunChange {
            last_before,
            first_after,
            ratio: over.value,
            interval: over.interval.ok(),
            p_value: change.p_value,
            differs: differences(sides[0], sides[1])
                .into_iter()
                .map(|d| [d.fact, d.first, d.second])
                .collect(),
        }
    };
    let found = changes(&values, level, margin);
    let needed = (2..).find(|&count| least_p_value(count) <= level);
    Series {
        too_few_of: needed.filter(|&needed| points.len() < needed),
        changes: found.into_iter().map(change).collect(),
        points: points.to_vec(),
        key,
        machine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u64, machine: &str, ns: f64) -> HistoryRun {
        let key = RowKey {
            row: "wasm".into(),
            measure: "isolated".into(),
            function: "demo/noop".into(),
            quantity: Quantity::Ns,
        };
        HistoryRun {
            run: format!("run-{number}"),
            unix_seconds: 1_795_000_000 + 3600 * number,
            commit: Some(format!("{number:012}")),
            is_modified: false,
            machine: Machine {
                fingerprint: machine.into(),
                host: "vm".into(),
                words: format!("the machine {machine}"),
            },
            environment: None,
            rows: [(
                key,
                Value {
                    value: ns,
                    interval: None,
                },
            )]
            .into(),
        }
    }

    /// Thirty runs on one machine that get slower by a fifth after the twelfth, and as many on another that do not.
    fn history(only: &[String]) -> History {
        let jitter = |n: u64| 1.0 + (n * 7 % 5) as f64 / 500.0;
        let runs = (0..30).rev().flat_map(|n| {
            let slow = if n < 12 { 100.0 } else { 120.0 };
            [run(n, "a", slow * jitter(n)), run(n, "b", 5.0 * jitter(n))]
        });
        History::new(runs.collect(), only, 0.05, vec!["a note".into()])
    }

    #[test]
    fn a_change_is_found_between_its_runs_on_its_machine_alone() {
        let history = history(&[]);
        assert_eq!((history.series.len(), history.changes()), (2, 1));
        let slower = &history.series[0];
        assert_eq!(slower.machine, "a");
        let change = &slower.changes[0];
        let names =
            [change.last_before, change.first_after].map(|at| history.runs[at].run.as_str());
        assert_eq!(names, ["run-11", "run-12"]);
        assert!((change.ratio - 1.2).abs() < 0.01, "{change:?}");
        assert!(change.interval.expect("enough runs").contains(1.2));
    }

    #[test]
    fn the_forms_say_the_same() {
        let history = history(&[]);
        let json: serde_json::Value = serde_json::from_str(&history.json()).expect("JSON");
        assert_eq!(
            json["series"][0]["changes"][0]["first_after"], 24,
            "two machines' runs by turns"
        );
        for form in [history.text(Some(100)), history.html()] {
            for words in [
                "wasm, isolated, demo/noop",
                "1.20",
                "000000000011",
                "000000000012",
                "a note",
                "vm b",
                "the machine b",
            ] {
                assert!(form.contains(words), "{words}: {form}");
            }
        }
    }

    #[test]
    fn rows_are_left_out_and_few_runs_are_said() {
        assert!(history(&["docker".into()]).series.is_empty());
        assert_eq!(history(&["WASM".into()]).series.len(), 2);
        let few = History::new(
            (0..4).map(|n| run(n, "a", 1.0)).collect(),
            &[],
            0.05,
            Vec::new(),
        );
        assert_eq!(few.series[0].too_few_of, Some(8));
        assert!(few.text(None).contains("8 runs"), "{}", few.text(None));
    }
}
