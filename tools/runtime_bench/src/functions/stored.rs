//! Functions that are in the store: listing, showing, trying and removing them.

use std::fs;
use std::path::Path;
use std::process::Command;

use measure_core::base::exit::Exit;
use measure_core::base::ids::{self, FunctionId};
use measure_core::base::stdout::print;
use measure_core::base::{home, trust};
use measure_core::contract::function::{FILE, FunctionFile, Kind};
use table::{Align, Table};

use super::answers::{Outcome, ask_rungs};
use super::error::FunctionError;
use super::options::{ComputeOptions, NameOptions, OnRungs, TestOptions};
use super::stage::{place_of, take_out};
use super::table::table_of;
use crate::drivers::{Ladder, Offer, find};
use crate::engines::Engines;

/// One rung of each kind that can run a function of anybody's.
const RUNGS: [&str; 7] = [
    "process",
    "bubblewrap",
    "runc",
    "wasm",
    "faaslet",
    "proto-faaslet",
    "docker-none",
];

/// What is said of the function `id`, if somebody brought it.
///
/// # Errors
/// What is said is wrong, or others could have written it.
pub(crate) fn stored_file(id: &FunctionId) -> Result<Option<FunctionFile>, FunctionError> {
    let path = place_of(id).join(FILE);
    let bytes = match trust::read(&path) {
        Err(error) if error.is_not_found() => return Ok(None),
        read => read?,
    };
    let file = FunctionFile::parse(&String::from_utf8_lossy(&bytes));
    file.map(Some).map_err(|source| FunctionError::File {
        path,
        source: Box::new(source),
    })
}

/// Has the rungs that are asked for run `id` once, and prints what came of it.
pub(super) fn try_on_rungs(id: &FunctionId, on: &OnRungs) -> Result<Exit, FunctionError> {
    let file = existing(id)?;
    let offers = chosen(on)?;
    let rows = ask_rungs(&offers, id, &file)?;
    say(&table_of(&rows))?;
    let failed: Vec<&str> = rows
        .iter()
        .filter(|row| row.outcome.is_failure())
        .map(|row| row.rung.as_str())
        .collect();
    if !failed.is_empty() {
        return Err(FunctionError::Answers(format!(
            "{id} is in the store, and not as it should be on {}: see the table; mend it and `add` it with --replace, or `runtime_bench remove {id}`",
            failed.join(", ")
        )));
    }
    if !rows
        .iter()
        .any(|row| matches!(row.outcome, Outcome::Same(_)))
    {
        return Err(FunctionError::Unavailable(format!(
            "{id} is in the store, and none of these rungs can run it here; the table says why"
        )));
    }
    let ready = rows.iter().filter(|row| row.outcome.not_timed().is_none());
    let ready: Vec<&str> = ready.map(|row| row.rung.as_str()).collect();
    say(&format!(
        "\nruntime_bench time --function {id} --rungs {}\n",
        ready.join(",")
    ))?;
    Ok(Exit::Ok)
}

/// The two rungs whose sides `compute` compares.
const BOTH_SIDES: [&str; 2] = ["process", "wasm"];
/// What times both sides of a function.
const COMPUTE: &str = "function_bench";

/// Compares what both sides of a function answer, and has them timed.
pub(crate) fn compute(options: &ComputeOptions) -> Result<Exit, FunctionError> {
    let id: FunctionId = options.function.parse()?;
    let file = existing(&id)?;
    if file.kind == Kind::Handler {
        return Err(FunctionError::Refused(format!(
            "{id} answers requests, and `compute` times programs that run to their end: `runtime_bench time --function {id}` tells a request apart"
        )));
    }
    let on = OnRungs {
        rungs: Some(BOTH_SIDES.map(str::to_owned).into()),
        all: false,
        engines: Engines::default(),
    };
    let rows = ask_rungs(&chosen(&on)?, &id, &file)?;
    for row in &rows {
        if let Some(words) = row.outcome.not_timed() {
            return Err(FunctionError::Answers(format!("{}: {words}", row.rung)));
        }
    }
    let tool = find(COMPUTE).ok_or_else(|| {
        FunctionError::Unavailable(format!(
            "no {COMPUTE} beside this program or on PATH: build or install it"
        ))
    })?;
    let (native, wasm) = (options.native.to_string(), options.wasm.to_string());
    let status = Command::new(&tool)
        .args([&id.to_string(), &native, &wasm])
        .args(&options.more)
        .status()
        .map_err(FunctionError::io(tool))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(Exit::Failed, Exit::from_code))
}

fn chosen(on: &OnRungs) -> Result<Vec<Offer>, FunctionError> {
    let ladder = Ladder::discover(&on.engines);
    for (driver, why) in &ladder.missing {
        eprintln!("warning: {driver}: {why}; its rungs are missing");
    }
    match &on.rungs {
        Some(names) => ladder
            .select(names)
            .map_err(|unknown| FunctionError::Refused(unknown.to_string())),
        None if on.all => Ok(ladder.offers),
        None => {
            let one_of_each = |offer: &Offer| RUNGS.contains(&offer.rung());
            Ok(ladder.offers.into_iter().filter(one_of_each).collect())
        }
    }
}

fn existing(id: &FunctionId) -> Result<FunctionFile, FunctionError> {
    stored_file(id)?.ok_or_else(|| unknown(id, &brought()))
}

/// The error of a function that is none of `known`.
fn unknown(id: &FunctionId, known: &[FunctionId]) -> FunctionError {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    FunctionError::Refused(format!(
        "{}; `runtime_bench add` brings one",
        ids::unknown("function", &id.to_string(), &known)
    ))
}

/// Refuses what the store does not have, if it has what we build: then a rung that has it built in finds it there too. Without them a
/// driver says best how to fill the store.
///
/// # Errors
/// There is no such function; the nearest is named.
pub(crate) fn require_known(id: &FunctionId) -> Result<(), FunctionError> {
    let is_built = home::store().join("demo/noop").exists();
    match !is_built || place_of(id).exists() {
        true => Ok(()),
        false => Err(unknown(id, &all_stored())),
    }
}

/// Ids of the functions that somebody brought, in order.
fn brought() -> Vec<FunctionId> {
    let mut found = all_stored();
    found.retain(|id| place_of(id).join(FILE).is_file());
    found
}

/// Ids of all functions of the store, in order.
fn all_stored() -> Vec<FunctionId> {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter_map(|e| e.file_name().into_string().ok())
            .collect()
    };
    let store = home::store();
    let mut found = Vec::new();
    for user in names(&store) {
        let ids = names(&store.join(&user)).into_iter();
        found.extend(ids.filter_map(|function| FunctionId::new(&user, &function).ok()));
    }
    found.sort();
    found
}

/// The sides of a function, in words.
fn sides(file: &FunctionFile) -> String {
    let sides = [
        ("native", file.native.is_some()),
        ("wasm", file.wasm.is_some()),
        ("python", file.python.is_some()),
        ("image", file.image.is_some()),
    ];
    let there = sides
        .iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| *name);
    there.collect::<Vec<_>>().join(", ")
}

/// Lists the functions that somebody brought.
pub(crate) fn list() -> Result<Exit, FunctionError> {
    let mut table = Table::new(&[
        ("function", Align::Left),
        ("sides", Align::Left),
        ("arguments", Align::Left),
    ]);
    for id in brought() {
        let row = match stored_file(&id) {
            Ok(Some(file)) => [id.to_string(), sides(&file), file.args.join(" ")],
            Ok(None) => continue,
            Err(error) => [id.to_string(), error.to_string(), String::new()],
        };
        table.row(row);
    }
    if table.is_empty() {
        eprintln!("none yet: `runtime_bench add` brings one");
        return Ok(Exit::Ok);
    }
    say(&table.text(table::terminal_width()))?;
    Ok(Exit::Ok)
}

/// Prints what is known of a function.
pub(crate) fn show(options: &NameOptions) -> Result<Exit, FunctionError> {
    let id: FunctionId = options.function.parse()?;
    let file = existing(&id)?;
    let dir = place_of(&id);
    say(&format!("# {}\n{}", dir.display(), file.to_toml()))?;
    Ok(Exit::Ok)
}

/// Has rungs run a function once more.
pub(crate) fn test(options: &TestOptions) -> Result<Exit, FunctionError> {
    try_on_rungs(&options.function.parse()?, &options.on)
}

/// Takes a function out of the store.
pub(crate) fn remove(options: &NameOptions) -> Result<Exit, FunctionError> {
    let id: FunctionId = options.function.parse()?;
    existing(&id)?;
    take_out(&id)?;
    say(&format!("removed {id}\n"))?;
    Ok(Exit::Ok)
}

fn say(text: &str) -> Result<(), FunctionError> {
    // A reader that has seen enough changes nothing.
    print(text)
        .map(drop)
        .map_err(FunctionError::io("standard output"))
}
