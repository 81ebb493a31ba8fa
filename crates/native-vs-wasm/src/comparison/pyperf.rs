//! Runs in the form of pyperf (version 1.0 of its JSON, <https://pyperf.readthedocs.io>): a benchmark of ours in a column is one of
//! pyperf's, a process of ours one of its runs, and a value the seconds that one run of the kernel took.

use measure_core::contract::environment::Environment;
use measure_core::contract::vocabulary::phase::KERNEL;
use serde_json::{Map, Value, json};
use stats::levels::Levels;

use super::records::{BenchmarkInfo, ColumnInfo, Comparison};
use super::rows::by_process;

/// The version of its form.
const VERSION: &str = "1.0";

/// All columns, each benchmark by the name `<benchmark> <column>`.
#[must_use]
pub fn of_all_columns(comparison: &Comparison) -> String {
    suite(comparison, &comparison.info.columns, |benchmark, column| {
        format!("{} {}", benchmark.name, column.name)
    })
}

/// The column `name` alone, each benchmark by its own name: two such files of one run are what `pyperf compare_to` compares. `None` if
/// there is no such column.
#[must_use]
pub fn of_column(comparison: &Comparison, name: &str) -> Option<String> {
    let columns = &comparison.info.columns;
    let column = columns.iter().find(|column| column.name == name)?;
    let only = std::slice::from_ref(column);
    Some(suite(comparison, only, |benchmark, _| {
        benchmark.name.clone()
    }))
}

fn suite(
    comparison: &Comparison,
    columns: &[ColumnInfo],
    name: impl Fn(&BenchmarkInfo, &ColumnInfo) -> String,
) -> String {
    let mut benchmarks = Vec::new();
    for benchmark in &comparison.info.benchmarks {
        for column in columns {
            // pyperf refuses a benchmark without values.
            if let Some(levels) = by_process(comparison, benchmark, &column.name, KERNEL) {
                let name = name(benchmark, column);
                benchmarks.push(one(&name, benchmark, column, &levels));
            }
        }
    }
    let environment = comparison.records.environment.as_ref();
    let suite = json!({
        "version": VERSION,
        "metadata": environment.map(host).unwrap_or_default(),
        "benchmarks": benchmarks,
    });
    // Plain data with string keys always serialises.
    serde_json::to_string(&suite).unwrap_or_default() + "\n"
}

fn one(name: &str, benchmark: &BenchmarkInfo, column: &ColumnInfo, levels: &Levels) -> Value {
    let runs: Vec<Value> = levels
        .processes()
        .iter()
        .map(|process| {
            let values: Vec<f64> = process.values().iter().map(|ns| ns / 1e9).collect();
            json!({ "values": values })
        })
        .collect();
    json!({
        "metadata": {
            "name": name,
            "unit": "second",
            "loops": benchmark.repeats.max(1),
            "description": column.summary,
        },
        "runs": runs,
    })
}

/// The names are pyperf's own, where it has one.
fn host(environment: &Environment) -> Map<String, Value> {
    let facts = [
        ("cpu_model_name", "cpu_model"),
        ("hostname", "host"),
        ("platform", "kernel"),
    ];
    let text = |name: &str| Some(environment.fact(name)?.text()?.to_owned());
    facts
        .into_iter()
        .filter_map(|(theirs, ours)| Some((theirs.to_owned(), text(ours)?.into())))
        .collect()
}
