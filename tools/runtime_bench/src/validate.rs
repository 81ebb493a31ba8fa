//! `validate`: whether a run's directory is whole, and what of it this version reads.
//!
//! Readers are forgiving: they leave out a torn line, and keep words that they do not know. This says what they would be
//! silent about.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::exit::Exit;
use measure_core::base::stdout::print;
use measure_core::base::words::plain;
use measure_core::contract::environment::{self, ENVIRONMENT, Environment};
use measure_core::contract::load_point::{self, LOAD};
use measure_core::contract::run_dir::{RunDirError, SAMPLES, read_samples};
use measure_core::contract::run_info::{RUN_INFO, RunInfo};
use measure_core::contract::sample::{self, Sample};
use measure_core::contract::vocabulary::{Measure, Metric};
use report::read_json;
use serde::Deserialize;
use table::summary::{self, SUMMARY, Summary};

use crate::error::BenchError;
use crate::fleet_record::{self, FLEET_RECORD, FleetRecord};

/// By `poly_bench` and `py_bench`, in place of `run.json`.
const COMPARISON: &str = "comparison.json";
const TORN: &str =
    "the last line is torn, as its writer was killed or its disk was full; readers leave it out";
/// Clocks of two hosts may differ by so much, and time zones by less.
const CLOCKS_APART_S: u64 = 86_400;

/// What was found out about one directory.
#[derive(Debug, Default)]
struct Findings {
    /// What makes numbers missing or doubtful.
    faults: Vec<String>,
    /// What is well to know.
    notes: Vec<String>,
}

/// Which files say what a run set out to do.
#[derive(Debug, Default, Deserialize)]
struct ComparisonHead {
    schema: u64,
    run: String,
    #[serde(default)]
    ended: Option<String>,
}

/// Says of each of `dirs` what is wrong with it. Ends with [`Exit::Usage`] if one is no run's, else with [`Exit::Failed`] if
/// one has a fault.
pub(crate) fn run(dirs: &[PathBuf]) -> Result<Exit, BenchError> {
    let mut exit = Exit::Ok;
    for dir in dirs {
        let name = dir.display();
        let Some(findings) = examine(dir) else {
            eprintln!(
                "error: {name} is no run's directory: it has neither {SAMPLES} nor {}",
                isolation::record::FILE
            );
            exit = Exit::Usage;
            continue;
        };
        if !findings.faults.is_empty() && exit == Exit::Ok {
            exit = Exit::Failed;
        }
        print(plain(&findings.text(&name.to_string()))).map_err(BenchError::Output)?;
    }
    Ok(exit)
}

/// `None` if nothing of it is a run's.
fn examine(dir: &Path) -> Option<Findings> {
    let has = |name: &str| dir.join(name).is_file();
    if ![SAMPLES, isolation::record::FILE, FLEET_RECORD]
        .into_iter()
        .any(has)
    {
        return None;
    }
    let mut findings = Findings::default();
    let samples = findings.samples(dir);
    let could_not_be_read = samples.is_empty() && !findings.faults.is_empty();
    findings.loads(dir);
    let run = findings.run_info(dir, &samples);
    findings.environment(dir);
    findings.summary(dir, run.as_deref());
    findings.fleet(dir, &samples);
    if has(isolation::record::FILE) {
        let read = isolation::record::Found::read(dir).map_err(|e| e.to_string());
        match read.map(|found| found.ended) {
            Ok(None) => {}
            Ok(Some(ended)) => findings.fault(isolation::record::FILE, &ended),
            Err(why) => findings.faults.push(why),
        }
    } else if samples.is_empty() && !could_not_be_read {
        findings.fault(SAMPLES, "holds no sample");
    }
    findings.leftovers(dir);
    Some(findings)
}

impl Findings {
    fn fault(&mut self, file: &str, what: &str) {
        self.faults.push(format!("{file}: {what}"));
    }

    fn note(&mut self, file: &str, what: &str) {
        self.notes.push(format!("{file}: {what}"));
    }

    fn text(&self, name: &str) -> String {
        let verdict = match self.faults.len() {
            0 => "whole".to_owned(),
            1 => "1 fault".to_owned(),
            more => format!("{more} faults"),
        };
        let mut text = format!("{name}: {verdict}\n");
        for fault in &self.faults {
            text += &format!("  {fault}\n");
        }
        for note in &self.notes {
            text += &format!("  note: {note}\n");
        }
        text
    }

    /// A JSON file of the run; a note of `absent` if it is not there.
    fn json<T: serde::de::DeserializeOwned>(
        &mut self,
        dir: &Path,
        name: &str,
        absent: Option<&str>,
    ) -> Option<T> {
        match read_json(&dir.join(name)) {
            Ok(Some(read)) => Some(read),
            Ok(None) => {
                if let Some(words) = absent {
                    self.note(name, words);
                }
                None
            }
            Err(error) => {
                self.faults.push(within(dir, &error));
                None
            }
        }
    }

    fn schema(&mut self, file: &str, found: u64, known: u32) {
        let known = u64::from(known);
        if found > known {
            self.fault(
                file,
                &format!(
                    "schema {found}, this tool knows up to {known}; use the version that wrote it"
                ),
            );
        } else if found < known {
            self.note(
                file,
                &format!("schema {found}, written by an earlier version, is read as it was meant"),
            );
        }
    }

    fn samples(&mut self, dir: &Path) -> Vec<Sample> {
        let recorded = match read_samples(dir) {
            Ok(recorded) => recorded,
            // A run of probes need not have any.
            Err(RunDirError::Read { .. }) if !dir.join(SAMPLES).exists() => return Vec::new(),
            Err(error) => {
                self.faults.push(within(dir, &error));
                return Vec::new();
            }
        };
        if recorded.torn {
            self.fault(SAMPLES, TORN);
        }
        let samples = recorded.samples;
        let oldest = samples.iter().map(|s| s.schema).min();
        self.schema(
            SAMPLES,
            oldest.unwrap_or(sample::SCHEMA).into(),
            sample::SCHEMA,
        );
        let seeds: BTreeSet<u64> = samples.iter().map(|s| s.seed).collect();
        if seeds.len() > 1 {
            self.fault(
                SAMPLES,
                &format!(
                    "lines of {} seeds, of one run all have the same",
                    seeds.len()
                ),
            );
        }
        if let Some(at) = samples
            .iter()
            .position(|s| s.value.number().is_some_and(|v| v < 0))
        {
            self.fault(SAMPLES, &format!("line {} has a value below zero", at + 1));
        }
        let unknown = |word: &str| format!("`{word}`");
        let words: BTreeSet<String> = samples
            .iter()
            .flat_map(|sample| {
                let measure = match &sample.measure {
                    Measure::Other(word) => Some(unknown(word)),
                    _ => None,
                };
                let metric = match &sample.metric {
                    Metric::Other(word) => Some(unknown(word)),
                    _ => None,
                };
                measure.into_iter().chain(metric)
            })
            .collect();
        if !words.is_empty() {
            let words: Vec<String> = words.into_iter().collect();
            self.note(
                SAMPLES,
                &format!(
                    "words that this version does not know, and leaves out: {}",
                    words.join(", ")
                ),
            );
        }
        samples
    }

    /// Points of open loops, where there are any.
    fn loads(&mut self, dir: &Path) {
        let points = match load_point::read_points(dir) {
            Ok(points) => points,
            Err(error) => return self.faults.push(within(dir, &error)),
        };
        let text = fs::read(dir.join(LOAD)).unwrap_or_default();
        if text.last().is_some_and(|&last| last != b'\n') {
            self.fault(LOAD, TORN);
        }
        let oldest = points.iter().map(|point| point.schema).min();
        let known = load_point::SCHEMA;
        self.schema(LOAD, oldest.unwrap_or(known).into(), known);
    }

    /// Holds the samples against what the run set out to do; the run's name, if that is known.
    fn run_info(&mut self, dir: &Path, samples: &[Sample]) -> Option<String> {
        let info: Option<RunInfo> = self.json(dir, RUN_INFO, None);
        let name = match info {
            Some(info) => {
                self.schema(RUN_INFO, info.schema.into(), sample::SCHEMA);
                for part in &info.parts {
                    if let Some(ended) = &part.ended {
                        self.fault(RUN_INFO, &format!("part {}: {ended}", part.name));
                    }
                }
                let known: BTreeSet<&str> = info
                    .rungs()
                    .iter()
                    .map(|rung| rung.description.rung.as_str())
                    .collect();
                let measured: BTreeSet<&str> = samples
                    .iter()
                    .map(|s| s.rung.as_str())
                    .filter(|rung| !rung.is_empty())
                    .collect();
                for rung in measured.difference(&known) {
                    self.fault(SAMPLES, &format!("rung `{rung}` is not one of {RUN_INFO}"));
                }
                Some(info.run)
            }
            None => self.comparison(dir),
        };
        let runs: BTreeSet<&str> = samples
            .iter()
            .map(|s| s.run.as_str())
            .chain(name.as_deref())
            .collect();
        if runs.len() > 1 {
            let runs: Vec<&str> = runs.into_iter().collect();
            self.fault(
                SAMPLES,
                &format!("files of several runs: {}", runs.join(", ")),
            );
        }
        name.or_else(|| samples.first().map(|s| s.run.clone()))
    }

    fn comparison(&mut self, dir: &Path) -> Option<String> {
        if !dir.join(COMPARISON).exists() {
            if !dir.join(isolation::record::FILE).exists() && !dir.join(RUN_INFO).exists() {
                self.note(
                    RUN_INFO,
                    "not there: what the run set out to do is not known",
                );
            }
            return None;
        }
        let head: ComparisonHead = self.json(dir, COMPARISON, None)?;
        self.schema(COMPARISON, head.schema, sample::SCHEMA);
        if let Some(ended) = &head.ended {
            self.fault(COMPARISON, ended);
        }
        Some(head.run)
    }

    fn environment(&mut self, dir: &Path) {
        let absent = "not there: what the run was measured on is not known";
        let Some(found) = self.json::<Environment>(dir, ENVIRONMENT, Some(absent)) else {
            return;
        };
        self.schema(ENVIRONMENT, found.schema.into(), environment::SCHEMA);
        let before = found.before.unix_seconds;
        let now = unix_now();
        if before > now.saturating_add(CLOCKS_APART_S) {
            let days = (before - now) / 86_400;
            self.note(
                ENVIRONMENT,
                &format!("begun {days} days from now: that host's clock or this one's is wrong"),
            );
        }
        match &found.after {
            None => self.note(ENVIRONMENT, "no load after the run: it was killed"),
            Some(after) if after.unix_seconds < before => self.fault(
                ENVIRONMENT,
                &format!(
                    "the run ended {} s before it began: the host's clock was set back meanwhile",
                    before - after.unix_seconds
                ),
            ),
            Some(_) => {}
        }
    }

    fn summary(&mut self, dir: &Path, run: Option<&str>) {
        let absent = "not there; `report` makes it, and all other tables";
        let found: Option<Summary> = self.json(dir, SUMMARY, Some(absent));
        if let Some(found) = found {
            self.schema(SUMMARY, found.schema.into(), summary::SCHEMA);
            if run.is_some_and(|run| run != found.run) {
                self.fault(SUMMARY, &format!("is of another run, {}", found.run));
            }
        }
    }

    /// What the playbook says of the host, where the run is one of a fleet.
    fn fleet(&mut self, dir: &Path, samples: &[Sample]) {
        let Some(record) = self.json::<FleetRecord>(dir, FLEET_RECORD, None) else {
            return;
        };
        self.schema(FLEET_RECORD, record.schema.into(), fleet_record::SCHEMA);
        if !record.trouble.is_empty() {
            self.fault(FLEET_RECORD, &format!("not whole: {}", record.trouble));
        }
        if let (Some(seed), Some(sample)) = (record.seed, samples.first())
            && seed != sample.seed
        {
            let measured = sample.seed;
            self.fault(
                FLEET_RECORD,
                &format!("says seed {seed}, the samples have {measured}"),
            );
        }
    }

    fn leftovers(&mut self, dir: &Path) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut left: Vec<String> = names
            .filter(|name| name.starts_with('.') && name.ends_with(".tmp"))
            .collect();
        left.sort();
        for name in left {
            self.note(&name, "left by a writer that was killed; it may be removed");
        }
    }
}

/// Seconds since 1970.
fn unix_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// An error without the directory that every one of them would name.
fn within(dir: &Path, error: &RunDirError) -> String {
    let prefix = format!("{}/", dir.display());
    error.to_string().replace(&prefix, "")
}
