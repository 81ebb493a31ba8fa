//! What is compared.

use std::convert::Infallible;
use std::fmt;

use crate::comparison::{BenchmarkInfo, ColumnInfo, ComparisonInfo};
use measure_core::contract::environment::Environment;

use crate::column::{Benchmark, Column, NotReady, Side};
use crate::error::CompareError;

/// Of benchmarks that cannot run, so many are named.
const NAMED: usize = 3;

/// A benchmark that a column cannot run.
#[derive(Debug)]
pub struct Lack<'a> {
    pub benchmark: &'a Benchmark,
    /// The column's name.
    pub column: &'a str,
    /// Why, and what to do.
    pub why: NotReady,
}

impl fmt::Display for Lack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, column, why) = (&self.benchmark.name, self.column, &self.why);
        write!(f, "{name}, {column}: {why}")
    }
}

/// A column and how often it runs.
pub struct Entry {
    pub column: Box<dyn Column>,
    /// Timed runs of each benchmark; 0 for a column that the others are only verified against.
    pub iterations: u32,
}

/// The columns `names`, each once and as often as its side's iterations (native, Wasm) say. Of those that run never all are
/// made, so that a wrong name is told, and all are left out but the first native one: Wasm is verified against it.
///
/// # Errors
/// A column cannot be made.
pub(crate) fn entries(
    names: impl IntoIterator<Item = String>,
    (native, wasm): (u32, u32),
    column: impl Fn(&str, u32) -> Result<Box<dyn Column>, CompareError>,
) -> Result<Vec<Entry>, CompareError> {
    let mut seen = Vec::new();
    let mut entries = Vec::new();
    for name in names {
        if seen.contains(&name) {
            continue;
        }
        let iterations = match Side::of_column(&name) {
            Side::Native => native,
            Side::Wasm => wasm,
        };
        let column = column(&name, iterations)?;
        let verifies = seen.is_empty() && Side::of_column(&name) == Side::Native;
        if iterations > 0 {
            let iterations = column.processes(iterations);
            entries.push(Entry { column, iterations });
        } else if verifies {
            entries.push(Entry { column, iterations });
        }
        seen.push(name);
    }
    Ok(entries)
}

/// How the outputs of two columns differ, in words that go on from "it".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Disagreement(pub String);

/// Says how far the outputs of two columns agree, the first being the reference's.
pub type Compare = fn(&Benchmark, &[u8], &[u8]) -> Result<String, Disagreement>;

/// Benchmarks, the columns that they run in, and what tells whether these agree.
pub struct Suite {
    /// `polybench`, `pybench`: the stem of file names.
    pub name: &'static str,
    /// The user of the functions in the store; empty where the benchmarks' names are ids.
    pub user: &'static str,
    /// For headings.
    pub title: &'static str,
    /// In the order of the tables.
    pub benchmarks: Vec<Benchmark>,
    /// The first is what the others are verified against, and divided by where there are no [`Suite::builds`].
    pub columns: Vec<Entry>,
    /// Columns that are native builds of the same programs: the others are divided by each benchmark's fastest, which is
    /// chosen by runs that are not reported.
    pub builds: &'static [&'static str],
    /// Whether of these only the fastest is timed.
    pub best_build_only: bool,
    /// Whether its programs have a clock of their own, and so can run their kernels several times.
    pub own_clock: bool,
    /// Whether the columns are one, measured as if it were several.
    pub aa: bool,
    /// Run on what each other column writes, before it is timed.
    pub compare: Compare,
    /// What a reader should know of the numbers, in sentences.
    pub notes: Vec<String>,
}

impl Suite {
    /// What cannot run, of every benchmark in every column that is to be timed.
    pub(crate) fn lacking(&self) -> Vec<Lack<'_>> {
        let timed = self.columns.iter().filter(|entry| entry.iterations > 0);
        let lacking = timed.flat_map(|entry| {
            self.benchmarks.iter().filter_map(|benchmark| {
                let why = entry.column.check(benchmark).err()?;
                let column = entry.column.name();
                Some(Lack {
                    benchmark,
                    column,
                    why,
                })
            })
        });
        lacking.collect()
    }

    /// The id of `benchmark` in the store.
    pub(crate) fn function(&self, benchmark: &Benchmark) -> String {
        match self.user {
            "" => benchmark.name.clone(),
            user => format!("{user}/{}", benchmark.name),
        }
    }

    /// Every benchmark in every column, before anything is measured.
    pub(crate) fn check(&self) -> Result<(), CompareError> {
        let lacking = self.lacking();
        if lacking.is_empty() {
            return Ok(());
        }
        let named: Vec<String> = lacking.iter().take(NAMED).map(Lack::to_string).collect();
        let mut text = named.join("\n       ");
        if lacking.len() > NAMED {
            text += &format!("\n       and {} more", lacking.len() - NAMED);
        }
        Err(CompareError::Unavailable(text))
    }

    /// Notes what is compared, with settings and hashes.
    pub(crate) fn describe(&self, environment: &mut Environment, seed: u64) {
        environment.note_run("seed", seed);
        for entry in &self.columns {
            let column = &entry.column;
            let about = column.about();
            environment.note_engine(&about.name, "summary", about.summary.clone());
            environment.note_engine(&about.name, "settings", about.settings.join("; "));
            let hashes = self.benchmarks.iter().map(|benchmark| {
                let hash = column.hash(benchmark).unwrap_or_else(|e| e.to_string());
                (benchmark.name.clone(), hash.into())
            });
            let hashes = serde_json::Value::Object(hashes.collect());
            environment.note_engine(&about.name, "programs_sha256", Ok::<_, Infallible>(hashes));
        }
    }

    /// What the records say of the comparison, before anything has run.
    pub(crate) fn info(&self, seed: u64) -> ComparisonInfo {
        let timed = self.columns.iter().filter(|entry| entry.iterations > 0);
        let columns = timed.map(|entry| {
            let about = entry.column.about().clone();
            ColumnInfo {
                name: about.name,
                summary: about.summary,
                iterations: entry.iterations,
                settings: about.settings,
                twin: about.twin,
                curve: about.curve,
            }
        });
        let benchmarks = self.benchmarks.iter().map(|benchmark| BenchmarkInfo {
            name: benchmark.name.clone(),
            group: benchmark.group.clone(),
            function: self.function(benchmark),
            ..BenchmarkInfo::default()
        });
        let columns: Vec<ColumnInfo> = columns.collect();
        let mut notes = vec![
            "The kernel's time is by the program's own monotonic clock, after initialisation. Each run is a process of its own on either side. The whole run lasts natively from asked for to reaped (posix_spawn-like, without a shell); of Wasm from the thread asked for to the thread joined, within an engine process that has loaded the code; of another engine's column as natively, its start and loading included.".to_owned(),
            "Each replicate is laid out anew in memory, the same in every column: address-space randomisation, padding of 0 to 4096 bytes in the environment, and the secret of string hashes where there is one (comparison.json).".to_owned(),
            "The list of benchmarks is gone through three times, each time for a third of the runs; within a benchmark columns are interleaved in a seeded random order within rounds. A short kernel runs several times in one process (column repeats), initialised anew each time, and counts with its mean there; medians, intervals and ratios are over processes.".to_owned(),
        ];
        notes.extend(self.notes.iter().cloned());
        ComparisonInfo {
            suite: self.name.to_owned(),
            title: self.title.to_owned(),
            command_line: std::env::args().collect(),
            seed,
            reference: columns
                .first()
                .filter(|_| columns.len() > 1)
                .map(|c| c.name.clone()),
            builds: self.builds.iter().map(ToString::to_string).collect(),
            columns,
            aa: self.aa,
            benchmarks: benchmarks.collect(),
            notes,
            ..ComparisonInfo::default()
        }
    }
}
