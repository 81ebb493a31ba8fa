//! `report`: the tables of one run again, or those of several hosts' runs side by side.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::exit::Exit;
use measure_core::base::files::read_given;
use measure_core::base::stdout::print;
use measure_core::contract::run_dir::SAMPLES;
use report::hosts::{Host, Hosts, NoRun};
use report::{Prices, Records, RunSummary, read_json};

use crate::error::BenchError;
use crate::fleet_record::{FLEET_RECORD, FleetRecord};
use crate::options::ReportOptions;
use crate::output::{write_files, write_tables_of};
use crate::run::print_tables;

/// Makes the tables again, or joins them.
///
/// # Errors
/// The one run cannot be read, of several none, or the tables cannot be written.
pub(crate) fn run(options: &ReportOptions) -> Result<Exit, BenchError> {
    match options.dirs.as_slice() {
        [dir] => one_run(dir, options),
        dirs => match of_one_run(options) {
            Some(option) => Err(BenchError::Usage(format!(
                "{option} is of one run: name one directory"
            ))),
            None => several_hosts(dirs, options.output.as_deref()),
        },
    }
}

/// An option that was given, and means nothing for several runs.
fn of_one_run(options: &ReportOptions) -> Option<&'static str> {
    let given = [
        ("--prices", options.prices.is_some()),
        ("--with-paper", options.with_paper),
        ("--csv-form", options.csv_form != "ours"),
    ];
    given
        .iter()
        .find(|(_, is_given)| *is_given)
        .map(|(option, _)| *option)
}

fn one_run(dir: &Path, options: &ReportOptions) -> Result<Exit, BenchError> {
    let output = options.output.as_deref();
    if isolation::record::Found::is_there(dir) {
        return crate::isolation::tables_again(dir, output);
    }
    let prices = options.prices.as_deref().map(read_prices).transpose()?;
    // Reading first: a directory that does not exist is not to be made.
    let records = read(dir)?;
    let mut summary = RunSummary::from_records(&records);
    summary.with_paper = options.with_paper;
    summary.prices = prices;
    let mut files = report::render(&summary);
    if options.csv_form == "faasm" {
        let faasm = report::faasm_csv_files(&summary);
        files.retain(|file| faasm.iter().all(|other| other.name != file.name));
        files.extend(faasm);
    }
    let files = files.into_iter().map(|file| (file.name, file.content));
    let place = write_tables_of(dir, output, &files.collect::<Vec<_>>())?;
    let mut table = report::terminal(&summary, table::terminal_width());
    if options.with_paper {
        let paper = report::beside_the_paper(&summary);
        table += &format!(
            "\nbeside the original's figures\n{}",
            paper.text(table::terminal_width())
        );
    }
    if let Some(prices) = &summary.prices {
        let costs = report::price_table(&summary, prices);
        table += "\nwhat it costs\n";
        table += &match costs.is_empty() {
            true => "unknown: neither CPU time of starts nor memory is in this run; `runtime_bench quick` measures both\n".to_owned(),
            false => costs.text(table::terminal_width()),
        };
    }
    print_tables(&table, place)?;
    Ok(Exit::Ok)
}

/// The prices in the file at `path`.
fn read_prices(path: &Path) -> Result<Prices, BenchError> {
    let wrong = |why: String| BenchError::Usage(format!("--prices {}: {why}", path.display()));
    let text = read_given(path).map_err(|e| wrong(e.to_string()))?;
    Prices::from_toml(&text).map_err(|e| wrong(e.to_string()))
}

fn read(dir: &Path) -> Result<Records, BenchError> {
    let records = Records::read(dir)?;
    if records.is_empty() {
        return Err(BenchError::Failed(format!(
            "{} holds no sample yet",
            dir.join(SAMPLES).display()
        )));
    }
    Ok(records)
}

/// A host by the name that a fleet's inventory has for it, else its own, else that of the directory.
fn host<'a>(dir: &Path, records: &'a Result<Records, BenchError>) -> Host<'a> {
    // One that is torn is none: what was measured is there all the same.
    let fleet = read_json::<FleetRecord>(&dir.join(FLEET_RECORD));
    let fleet = fleet.ok().flatten();
    let of_fleet =
        |word: fn(&FleetRecord) -> &String| fleet.as_ref().map(word).filter(|w| !w.is_empty());
    let environment = records.as_ref().ok().and_then(|r| r.environment.as_ref());
    let own = || environment.and_then(|e| e.fact("host")?.text().map(str::to_owned));
    let directory = || {
        dir.file_name()
            .unwrap_or(dir.as_os_str())
            .to_string_lossy()
            .into_owned()
    };
    let named = of_fleet(|fleet| &fleet.host).cloned();
    let kind = of_fleet(|fleet| &fleet.kind).map(|kind| format!("kind {kind}"));
    let trouble = of_fleet(|fleet| &fleet.trouble).cloned();
    let (found, note) = match (records, trouble) {
        (Ok(records), trouble) => {
            let trouble = trouble.map(|why| format!("its run is not whole: {why}"));
            (Ok(RunSummary::from_records(records)), trouble)
        }
        // That a file is not there tells less than why it was never made.
        (Err(_), Some(trouble)) => (Err(NoRun::NotMade(trouble)), None),
        (Err(why), None) => (Err(NoRun::Unreadable(why.to_string())), None),
    };
    Host {
        name: named.or_else(own).unwrap_or_else(directory),
        found,
        note: kind.into_iter().chain(note).collect::<Vec<_>>().join("; "),
    }
}

/// What cannot be read is a host without figures, with the reason; only where all are, that is an error.
fn several_hosts(dirs: &[PathBuf], output: Option<&Path>) -> Result<Exit, BenchError> {
    // Of results/*/ one is `latest`, a link to another.
    let mut seen = BTreeSet::new();
    let is_new =
        |dir: &&PathBuf| seen.insert(fs::canonicalize(dir).unwrap_or_else(|_| (*dir).clone()));
    let read: Vec<(&Path, Result<Records, BenchError>)> = dirs
        .iter()
        .filter(is_new)
        .map(|dir| (dir.as_path(), read(dir)))
        .collect();
    if read.iter().all(|(_, records)| records.is_err()) {
        let why = read.into_iter().find_map(|(_, records)| records.err());
        return why.map_or(Ok(Exit::Ok), Err);
    }
    let hosts = read.iter().map(|(dir, records)| host(dir, records));
    let hosts = Hosts::new(hosts.collect());
    if let Some(output) = output {
        let files = [("hosts.html", hosts.html()), ("hosts.md", hosts.markdown())];
        write_files(output, &files)?;
    }
    print(hosts.text(table::terminal_width())).map_err(BenchError::Output)?;
    Ok(Exit::Ok)
}
