//! `history`: each row over all runs of a folder, and where it changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::base::range::in_range;
use measure_core::base::stdout::print;
use measure_core::contract::run_dir::{RunDirError, SAMPLES};
use report::history::{History, HistoryRun, read_run};

use crate::error::BenchError;
use crate::options::HistoryOptions;
use crate::output::write_files;

/// What it writes.
const PAGE: &str = "history.html";
const JSON: &str = "history.json";

/// Prints the table and writes the page.
///
/// # Errors
/// An option makes no sense, a directory that was named holds no run, or the page cannot be written.
pub(crate) fn run(options: &HistoryOptions) -> Result<Exit, BenchError> {
    in_range("--margin", options.margin, 0.0..=1000.0)
        .map_err(|e| BenchError::Usage(e.in_unit("per cent").to_string()))?;
    let since = options.since.as_deref().map(seconds_of).transpose()?;
    let dirs = run_directories(&options.dirs)?;
    let (mut runs, mut notes) = (Vec::new(), Vec::new());
    let mut line = Line::default();
    for (at, dir) in dirs.iter().enumerate() {
        if let Some(exit) = interrupt::received() {
            return Ok(exit);
        }
        line.show(format!("history: {at} of {} runs", dirs.len()));
        // One torn run of two hundred is no reason to show none.
        match read_run(dir) {
            Ok(run) => runs.push(run),
            Err(why) => notes.push(format!("left out: {why}")),
        }
    }
    line.clear();
    let all = runs.len();
    runs.retain(|run| since.is_none_or(|since| run.unix_seconds >= since));
    if runs.is_empty() {
        let why = match notes.first() {
            _ if all > 0 => format!("none of {all} runs began at --since or later"),
            Some(why) => why.clone(),
            None => "there is no run".to_owned(),
        };
        return Err(BenchError::Usage(why));
    }
    notes.extend(strange_clocks(&runs));
    let history = History::new(runs, &options.only, options.margin / 100.0, notes);
    if history.series.is_empty() {
        return Err(BenchError::Usage(
            "no row has one of the words of --only".to_owned(),
        ));
    }
    let files = [(PAGE, history.html()), (JSON, history.json())];
    write_files(&options.output, &files)?;
    let text = history.text(table::terminal_width());
    let page = options.output.join(PAGE);
    print(format!("{text}page: {}\n", page.display())).map_err(BenchError::Output)?;
    Ok(Exit::Ok)
}

/// A time as `--since` has it, in seconds since 1970.
fn seconds_of(text: &str) -> Result<u64, BenchError> {
    let wrong = || {
        BenchError::Usage(format!(
            "--since takes a day or a time of it, as 2026-11-24 or 2026-11-24T18:30, not `{text}`"
        ))
    };
    let time: DateTime = text.parse().map_err(|_| wrong())?;
    let timestamp = TimeZone::UTC.to_timestamp(time).map_err(|_| wrong())?;
    u64::try_from(timestamp.as_second()).map_err(|_| wrong())
}

/// The runs that `named` are or hold, each once: a link such as `latest` leads to one of the others.
fn run_directories(named: &[PathBuf]) -> Result<Vec<PathBuf>, BenchError> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut add = |dir: PathBuf| {
        let real = fs::canonicalize(&dir).unwrap_or_else(|_| dir.clone());
        if seen.insert(real.clone()) {
            found.push(real);
        }
    };
    for dir in named {
        if is_run(dir) {
            add(dir.clone());
            continue;
        }
        let entries = fs::read_dir(dir).map_err(|cause| RunDirError::Read {
            path: dir.clone(),
            cause,
        })?;
        let mut within: Vec<PathBuf> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| is_run(p))
            .collect();
        if within.is_empty() {
            return Err(BenchError::Usage(format!(
                "{} is no run and holds none: there is no {SAMPLES} in it, nor in any directory within",
                dir.display()
            )));
        }
        within.sort();
        within.into_iter().for_each(&mut add);
    }
    Ok(found)
}

fn is_run(dir: &Path) -> bool {
    dir.join(SAMPLES).is_file()
}

/// Runs that begin after now: their machine's clock was ahead, and their place in time is not to be believed.
fn strange_clocks(runs: &[HistoryRun]) -> Option<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(u64::MAX, |since| since.as_secs());
    let ahead = runs.iter().filter(|run| run.unix_seconds > now);
    let names: Vec<&str> = ahead.map(|run| run.run.as_str()).collect();
    let [first, others @ ..] = names.as_slice() else {
        return None;
    };
    let others = match others.len() {
        0 => String::new(),
        more => format!(" and {more} others"),
    };
    Some(format!(
        "begun after now: {first}{others}: the clock of its machine was ahead, or this one's is behind; its place in time is as its own clock says"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_and_other_words_are_refused() {
        assert_eq!(seconds_of("2026-11-24").expect("a day"), 1_795_478_400);
        assert_eq!(
            seconds_of("2026-11-24T18:30").expect("a time"),
            1_795_545_000
        );
        for wrong in ["yesterday", "", "2026-13-01", "0000-01-01"] {
            let error = seconds_of(wrong).expect_err(wrong).to_string();
            assert!(error.contains("--since takes"), "{error}");
        }
    }
}
