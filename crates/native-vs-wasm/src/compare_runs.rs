//! `compare`: a second run against a first.

use std::path::{Path, PathBuf};

use measure_core::base::exit::Exit;
use measure_core::base::range::in_range;
use measure_core::contract::vocabulary::phase::KERNEL;
use report::differences::differences;
use report::two_runs::{Sides, TwoRuns};
use structopt::StructOpt;

use crate::column::Side;
use crate::comparison::{BenchmarkInfo, Comparison, by_process};
use crate::error::CompareError;
use crate::output::say;

/// So many names are repeated in a message.
const NAMED: usize = 6;

#[derive(Debug, StructOpt)]
pub(crate) struct CompareOptions {
    /// The first run's directory
    #[structopt(name = "A", parse(from_os_str))]
    first: PathBuf,
    /// The second run's directory
    #[structopt(name = "B", parse(from_os_str))]
    second: PathBuf,
    /// From which difference on it matters, in per cent
    #[structopt(long, value_name = "PERCENT", default_value = "5")]
    margin: f64,
    /// Writes a row a benchmark and column to FILE
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    csv: Option<PathBuf>,
    /// Writes everything to FILE
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    json: Option<PathBuf>,
    /// Ends with exit code 8 if a row is slower
    #[structopt(long, value_name = "VERDICT", possible_values = &["slower"])]
    fail_on: Option<String>,
}

/// Compares and prints.
///
/// # Errors
/// A run cannot be read, both have nothing in common, or a file cannot be written.
pub(crate) fn run(options: &CompareOptions) -> Result<Exit, CompareError> {
    in_range("--margin", options.margin, 0.0..=1000.0)
        .map_err(|e| CompareError::Usage(e.in_unit("per cent").to_string()))?;
    let (first, second) = (
        Comparison::read(&options.first)?,
        Comparison::read(&options.second)?,
    );
    let margin = options.margin / 100.0;
    let mut runs = both(&first, &second, margin).map_err(|e| CompareError::Usage(e.to_string()))?;
    runs.first = options.first.display().to_string();
    runs.second = options.second.display().to_string();
    let write = |path: &Option<PathBuf>, content: String, option| match path {
        None => Ok(()),
        Some(path) => write(path, &content, option),
    };
    let csv = runs
        .csv()
        .map_err(|e| CompareError::failed("cannot write rows as CSV", e))?;
    write(&options.csv, csv, "--csv")?;
    write(&options.json, runs.json(), "--json")?;
    say(runs.markdown())?;
    if options.fail_on.is_some() && runs.is_any_slower() {
        return Ok(Exit::Slower);
    }
    Ok(Exit::Ok)
}

fn write(path: &Path, content: &str, option: &'static str) -> Result<(), CompareError> {
    measure_core::base::files::replace_file(path, content.as_bytes()).map_err(|cause| {
        CompareError::Output {
            path: path.to_owned(),
            cause,
            option,
        }
    })
}

/// Why two runs are not the same thing measured twice.
#[derive(Debug, thiserror::Error)]
enum Foreign {
    #[error("the first is a run of {first}, the second of {second}: nothing in them is the same")]
    Suites { first: String, second: String },
    #[error(
        "no benchmark in common (another dataset or type?): the first has {first}, the second {second}"
    )]
    Benchmarks { first: String, second: String },
    #[error("no column in common: the first has {first}, the second {second}")]
    Columns { first: String, second: String },
    #[error("no row can be compared: {0}")]
    Rows(String),
}

/// All that `first` and `second` both measured.
fn both(first: &Comparison, second: &Comparison, margin: f64) -> Result<TwoRuns, Foreign> {
    let sides = [&first.info, &second.info];
    if sides[0].suite != sides[1].suite {
        let [first, second] = sides.map(|info| info.suite.clone());
        return Err(Foreign::Suites { first, second });
    }
    let benchmarks = sides.map(|info| info.benchmarks.iter().map(|b| &*b.name).collect::<Vec<_>>());
    let columns = sides.map(|info| info.columns.iter().map(|c| &*c.name).collect::<Vec<_>>());
    let disjoint = |names: &[Vec<&str>; 2]| !names[0].iter().any(|name| names[1].contains(name));
    if disjoint(&benchmarks) {
        let [first, second] = benchmarks.map(|names| some_of(&names));
        return Err(Foreign::Benchmarks { first, second });
    }
    if disjoint(&columns) {
        let [first, second] = columns.map(|names| some_of(&names));
        return Err(Foreign::Columns { first, second });
    }
    let mut notes: Vec<String> = sides
        .iter()
        .zip(["first", "second"])
        .filter_map(|(info, which)| Some(format!("the {which} run {}", info.ended.as_ref()?)))
        .collect();
    notes.extend(of_one_alone("benchmarks", &benchmarks));
    notes.extend(of_one_alone("columns", &columns));
    let mut rows = Vec::new();
    for benchmark in &first.info.benchmarks {
        let Some(other) = second
            .info
            .benchmarks
            .iter()
            .find(|b| b.name == benchmark.name)
        else {
            continue;
        };
        for column in columns[0].iter().filter(|c| columns[1].contains(c)) {
            let name = format!("{}, {column}", benchmark.name);
            match row((first, benchmark), (second, other), column) {
                Ok(sides) => rows.push(sides),
                Err(why) => notes.push(format!("{name}: {why}")),
            }
        }
    }
    if rows.is_empty() {
        return Err(Foreign::Rows(notes.join("; ")));
    }
    Ok(TwoRuns {
        first: String::new(),
        second: String::new(),
        key: vec!["benchmark", "column"],
        margin,
        differences: differences(
            first.records.environment.as_ref(),
            second.records.environment.as_ref(),
        ),
        notes,
        rows: TwoRuns::judge(rows, margin),
    })
}

/// Which names of `what` only one of two runs has, a note for each that has some.
fn of_one_alone(what: &str, names: &[Vec<&str>; 2]) -> Vec<String> {
    let sides = [(0, 1, "first"), (1, 0, "second")];
    let alone = sides.map(|(mine, other, which)| {
        let only = names[mine].iter().copied();
        let only: Vec<&str> = only.filter(|name| !names[other].contains(name)).collect();
        (!only.is_empty()).then(|| format!("{what} of the {which} run alone: {}", some_of(&only)))
    });
    alone.into_iter().flatten().collect()
}

/// Why one benchmark in one column is not the same twice.
#[derive(Debug, thiserror::Error)]
enum Unlike {
    #[error("not measured in the {0} run")]
    Unmeasured(&'static str),
    #[error("in one run a process made all, in the other each had a process of its own")]
    Design,
}

type Measured<'a> = (&'a Comparison, &'a BenchmarkInfo);

fn row(first: Measured<'_>, second: Measured<'_>, column: &str) -> Result<Sides, Unlike> {
    let levels = |(comparison, benchmark): Measured<'_>, which| {
        by_process(comparison, benchmark, column, KERNEL).ok_or(Unlike::Unmeasured(which))
    };
    let sides = Sides {
        key: vec![first.1.name.clone(), column.to_owned()],
        first: levels(first, "first")?,
        second: levels(second, "second")?,
    };
    let shared = |(comparison, benchmark): Measured<'_>| {
        let mut runs = comparison.runs(benchmark, column, KERNEL);
        Side::of_column(column) == Side::Wasm && runs.any(|sample| sample.process == 0)
    };
    if shared(first) != shared(second) {
        return Err(Unlike::Design);
    }
    Ok(sides)
}

/// The first of `names`, and how many more there are.
pub(crate) fn some_of(names: &[&str]) -> String {
    let named = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
