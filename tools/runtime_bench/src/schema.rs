//! `schema`: the form of each record as a JSON Schema, made of the types that the tools read and write.

use measure_core::base::exit::Exit;
use measure_core::base::ids;
use measure_core::base::stdout::print;
use measure_core::contract::environment::Environment;
use measure_core::contract::load_point::LoadPoint;
use measure_core::contract::run_info::RunInfo;
use measure_core::contract::sample::Sample;
use report::history::History;
use report::two_runs::Written;
use schemars::{Schema, schema_for};
use table::summary::Summary;

use crate::error::BenchError;
use crate::fleet_record::FleetRecord;

/// A record by its name on the command line, and the file that holds it.
type Record = (&'static str, &'static str, fn() -> Schema);

const RECORDS: [Record; 9] = [
    ("sample", "a line of samples.jsonl", || schema_for!(Sample)),
    ("run", "run.json", || schema_for!(RunInfo)),
    ("environment", "environment.json", || {
        schema_for!(Environment)
    }),
    ("summary", "summary.json", || schema_for!(Summary)),
    ("load", "a line of load.jsonl", || schema_for!(LoadPoint)),
    ("history", "history.json", || schema_for!(History)),
    ("isolation", "isolation.json", || {
        schema_for!(isolation::record::Found)
    }),
    ("compare", "what `compare --json` writes", || {
        schema_for!(Written)
    }),
    ("fleet", "fleet.json, of `ansible/fleet.yml`", || {
        schema_for!(FleetRecord)
    }),
];

/// Prints the schema of `record`, or what records there are.
///
/// # Errors
/// There is none of that name, or it cannot be printed.
pub(crate) fn run(record: Option<&str>) -> Result<Exit, BenchError> {
    let Some(name) = record else {
        let mut text: String = RECORDS
            .iter()
            .map(|(name, file, _)| format!("{name:<12} {file}\n"))
            .collect();
        text += "comparison   comparison.json: `poly_bench schema`\n";
        text += "             of `measure-core --json`: `measure-core --schema`\n";
        print(text).map_err(BenchError::Output)?;
        return Ok(Exit::Ok);
    };
    let Some((_, _, schema)) = RECORDS.iter().find(|(known, ..)| *known == name) else {
        let known = RECORDS.map(|(known, ..)| known.to_owned());
        return Err(BenchError::Usage(ids::unknown("record", name, &known)));
    };
    // Plain data with string keys always serialises.
    let text = serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n";
    print(text).map_err(BenchError::Output)?;
    Ok(Exit::Ok)
}
