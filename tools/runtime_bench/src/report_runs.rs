//! `report`: the tables of one run again, or those of several hosts' runs side by side.

use std::path::Path;

use measure_core::base::exit::Exit;
use measure_core::base::stdout::print;
use measure_core::contract::run_dir::{RunDir, SAMPLES};
use report::hosts::{Host, Hosts};
use report::{Records, RunSummary};

use crate::error::BenchError;
use crate::options::ReportOptions;
use crate::output::write_files;
use crate::recorder::write_tables;
use crate::run::print_tables;

/// Makes the tables again, or joins them.
///
/// # Errors
/// The one run cannot be read, of several none, or the tables cannot be written.
pub(crate) fn run(options: &ReportOptions) -> Result<Exit, BenchError> {
    match options.dirs.as_slice() {
        [dir] => one_run(dir, options),
        dirs => several_hosts(dirs, options.output.as_deref()),
    }
}

fn one_run(dir: &Path, options: &ReportOptions) -> Result<Exit, BenchError> {
    if isolation::record::Found::is_there(dir) {
        return crate::isolation::tables_again(dir);
    }
    // Reading first: a directory that does not exist is not to be made.
    let records = read(dir)?;
    let locked = RunDir::open(dir)?;
    let mut summary = RunSummary::from_records(&records);
    summary.with_paper = options.with_paper;
    let mut table = write_tables(&locked, &summary)?;
    if options.csv_form == "faasm" {
        for file in report::faasm_csv_files(&summary) {
            locked.write(file.name, file.content.as_bytes())?;
        }
    }
    if options.with_paper {
        let paper = report::beside_the_paper(&summary);
        table += &format!(
            "\nbeside the original's figures\n{}",
            paper.text(table::terminal_width())
        );
    }
    print_tables(&table, dir)?;
    Ok(Exit::Ok)
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

/// What cannot be read is a host without figures, with the reason; only where all are, that is an error.
fn several_hosts(dirs: &[std::path::PathBuf], output: Option<&Path>) -> Result<Exit, BenchError> {
    let read: Vec<(&Path, Result<Records, BenchError>)> =
        dirs.iter().map(|dir| (dir.as_path(), read(dir))).collect();
    if read.iter().all(|(_, records)| records.is_err()) {
        let why = read.into_iter().find_map(|(_, records)| records.err());
        return why.map_or(Ok(Exit::Ok), Err);
    }
    let host = |(dir, records): &'_ (&Path, Result<Records, BenchError>)| -> String {
        let environment = records.as_ref().ok().and_then(|r| r.environment.as_ref());
        let name = environment.and_then(|e| e.fact("host")?.text().map(str::to_owned));
        name.unwrap_or_else(|| {
            let own = dir.file_name().unwrap_or(dir.as_os_str());
            own.to_string_lossy().into_owned()
        })
    };
    let hosts = read.iter().map(|one| Host {
        name: host(one),
        found: match &one.1 {
            Ok(records) => Ok(RunSummary::from_records(records)),
            Err(why) => Err(why.to_string()),
        },
    });
    let hosts = Hosts::new(hosts.collect());
    if let Some(output) = output {
        let files = [("hosts.html", hosts.html()), ("hosts.md", hosts.markdown())];
        write_files(output, &files)?;
    }
    print(hosts.text(table::terminal_width())).map_err(BenchError::Output)?;
    Ok(Exit::Ok)
}
