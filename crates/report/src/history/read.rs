//! One run's rows, from the tables that were made of its samples where these are newer than the samples, else from the samples: two hundred
//! runs have gigabytes of samples, and kilobytes of tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use measure_core::contract::environment::{ENVIRONMENT, Environment};
use measure_core::contract::run_dir::{RunDirError, SAMPLES};
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::KERNEL;
use measure_core::contract::vocabulary::{Measure, Metric};
use schemars::JsonSchema;
use serde::Serialize;
use stats::Interval;
use stats::levels::{Levels, median};

use super::environments::Machine;
use super::row::{Quantity, RowKey, Value};
use crate::csv_files::{MEM_FIT_CSV, STARTS_CSV};
use crate::memory::Quantity as Weighed;
use crate::records::{Records, read_json};
use crate::summary::RunSummary;
use crate::time::{Design, TimeRow};

/// How the tables of comparisons end.
const RATIOS_END: &str = "-ratios.csv";
/// What the slope of the line over parked workers is called.
const OF_ONE_MORE: &str = "PSS of one more worker";
const OF_KERNEL: &str = "kernel";

/// Rows and what was found of each.
type Rows = BTreeMap<RowKey, Value>;

/// A run as a point of time.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HistoryRun {
    /// Its name.
    pub run: String,
    /// When it began, seconds since 1970.
    pub unix_seconds: u64,
    /// The revision of the tools that made it.
    pub commit: Option<String>,
    /// With changes that no revision has.
    pub is_modified: bool,
    /// The machine that made it.
    pub machine: Machine,
    /// Everything that is known of it.
    #[serde(skip)]
    pub environment: Option<Environment>,
    /// What was found. Written with the series.
    #[serde(skip)]
    pub rows: BTreeMap<RowKey, Value>,
}

/// Why a run has no place in a history.
#[derive(Debug, thiserror::Error)]
pub enum NoHistory {
    /// Its files cannot be read, are malformed, or newer than this tool.
    #[error(transparent)]
    Unread(#[from] RunDirError),
    /// Nobody knows when it was made.
    #[error("{}: neither {ENVIRONMENT} nor its name says when it was made", .0.display())]
    NoTime(PathBuf),
    /// Nothing was measured, or nothing to its end.
    #[error("{}: it holds no row", .0.display())]
    NoRow(PathBuf),
}

/// Reads the run in `dir`.
///
/// # Errors
/// It cannot be read, says nothing of when it was made, or holds no row.
pub fn read_run(dir: &Path) -> Result<HistoryRun, NoHistory> {
    let environment: Option<Environment> = read_json(&dir.join(ENVIRONMENT))?;
    let name = dir
        .file_name()
        .map_or_else(|| "run".to_owned(), |n| n.to_string_lossy().into_owned());
    let begun = environment
        .as_ref()
        .map(|e| e.before.unix_seconds)
        .filter(|&s| s > 0);
    let Some(unix_seconds) = begun.or_else(|| time_in_name(&name)) else {
        return Err(NoHistory::NoTime(dir.to_owned()));
    };
    let rows = match rows_of_tables(dir) {
        Some(rows) => rows,
        None => rows_of_samples(dir)?,
    };
    if rows.is_empty() {
        return Err(NoHistory::NoRow(dir.to_owned()));
    }
    let fact = |name: &str| environment.as_ref()?.fact(name);
    Ok(HistoryRun {
        run: name,
        unix_seconds,
        commit: fact("git_revision")
            .and_then(|f| f.text())
            .map(|c| c.chars().take(12).collect()),
        is_modified: fact("git_modified")
            .and_then(|f| f.truth())
            .unwrap_or_default(),
        machine: Machine::from_environment(environment.as_ref()),
        environment,
        rows,
    })
}

/// Of `20261124T034500Z-host` the time.
fn time_in_name(name: &str) -> Option<u64> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", name.get(..16)?).ok()?;
    let timestamp = TimeZone::UTC.to_timestamp(time).ok()?;
    u64::try_from(timestamp.as_second()).ok()
}

/// The rows of all tables in `dir`; `None` if there is none that can be believed: all are to be as new as the samples.
fn rows_of_tables(dir: &Path) -> Option<Rows> {
    let age = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let samples = age(&dir.join(SAMPLES))?;
    let mut rows = Rows::new();
    let mut any = false;
    for entry in fs::read_dir(dir).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let read: fn(&Table) -> Option<Rows> = match name.as_str() {
            STARTS_CSV => starts,
            MEM_FIT_CSV => weights,
            other if other.ends_with(RATIOS_END) => kernels,
            _ => continue,
        };
        if age(&entry.path())? < samples {
            return None;
        }
        rows.extend(read(&Table::read(&entry.path())?)?);
        any = true;
    }
    any.then_some(rows)
}

/// A table by the names of its columns.
struct Table {
    header: csv::StringRecord,
    records: Vec<csv::StringRecord>,
}

impl Table {
    fn read(path: &Path) -> Option<Self> {
        let mut reader = csv::Reader::from_path(path).ok()?;
        let header = reader.headers().ok()?.clone();
        let records = reader.records().collect::<Result<_, _>>().ok()?;
        Some(Self { header, records })
    }

    /// Where the columns `names` stand; `None` if one is not there: it is of another version.
    fn columns<const N: usize>(&self, names: [&str; N]) -> Option<[usize; N]> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = self.header.iter().position(|column| column == name)?;
        }
        Some(places)
    }
}

/// The value in the first of three columns, and its interval in the others, times `unit`; `None` where there is none.
fn value(record: &csv::StringRecord, columns: [usize; 3], unit: f64) -> Option<Value> {
    let number = |column: usize| {
        let number: f64 = record.get(column)?.parse().ok()?;
        number.is_finite().then_some(number * unit)
    };
    let ends = number(columns[1]).zip(number(columns[2]));
    Some(Value {
        value: number(columns[0])?,
        interval: ends.map(|(lo, hi)| Interval { lo, hi }),
    })
}

fn key(row: &str, measure: &str, function: &str, quantity: Quantity) -> RowKey {
    RowKey {
        row: row.to_owned(),
        measure: measure.to_owned(),
        function: function.to_owned(),
        quantity,
    }
}

fn starts(table: &Table) -> Option<Rows> {
    let [rung, function, design] = table.columns(["Runtime", "Function", "Design"])?;
    let median = table.columns(["MedianNs", "MedianLowNs", "MedianHighNs"])?;
    let row = |record: &csv::StringRecord| {
        let key = key(
            record.get(rung)?,
            record.get(design)?,
            record.get(function)?,
            Quantity::Ns,
        );
        Some((key, value(record, median, 1.0)?))
    };
    Some(table.records.iter().filter_map(row).collect())
}

fn weights(table: &Table) -> Option<Rows> {
    let [rung, measure] = table.columns(["Runtime", "Measure"])?;
    let slope = table.columns(["Slope", "SlopeLow", "SlopeHigh"])?;
    let pss = Weighed::PSS.to_string();
    let row = |record: &csv::StringRecord| {
        if record.get(measure)? != pss {
            return None;
        }
        let key = key(record.get(rung)?, OF_ONE_MORE, "", Quantity::Bytes);
        Some((key, value(record, slope, 1.0)?))
    };
    Some(table.records.iter().filter_map(row).collect())
}

fn kernels(table: &Table) -> Option<Rows> {
    let [benchmark, column] = table.columns(["benchmark", "type"])?;
    let median = table.columns([
        "kernel_median_us",
        "kernel_median_low_us",
        "kernel_median_high_us",
    ])?;
    let row = |record: &csv::StringRecord| {
        let key = key(
            record.get(column)?,
            OF_KERNEL,
            record.get(benchmark)?,
            Quantity::Ns,
        );
        Some((key, value(record, median, 1e3)?))
    };
    Some(table.records.iter().filter_map(row).collect())
}

/// The same rows from the samples, those of old schemas too.
fn rows_of_samples(dir: &Path) -> Result<Rows, RunDirError> {
    let records = Records::read(dir)?;
    let summary = RunSummary::from_records(&records);
    let mut rows = Rows::new();
    for time in summary.times() {
        rows.extend(rows_of_starts(time));
    }
    for rung in &summary.rungs {
        if let Some(fit) = rung.fit(&Weighed::PSS) {
            let interval = fit.slope_interval;
            rows.insert(
                key(rung.rung, OF_ONE_MORE, "", Quantity::Bytes),
                Value {
                    value: fit.slope,
                    interval,
                },
            );
        }
    }
    rows.extend(rows_of_comparison(&records.samples));
    Ok(rows)
}

fn rows_of_starts(time: &TimeRow) -> Rows {
    let of = |design: Design| {
        key(
            &time.rung,
            &design.to_string(),
            &time.function,
            Quantity::Ns,
        )
    };
    let designs = Design::ALL
        .into_iter()
        .filter_map(|design| Some((of(design), time.design(design)?.median.into())));
    let pooled = time.pooled.map(|pooled| {
        // One process made them: nothing can be said of how far another would lie off.
        let value = Value {
            value: pooled.median,
            interval: None,
        };
        (of(Design::Pooled), value)
    });
    designs.chain(pooled).collect()
}

/// Kernel times by benchmark and column.
fn rows_of_comparison(samples: &[Sample]) -> Rows {
    let mut found: BTreeMap<RowKey, Vec<(u32, u32, f64)>> = BTreeMap::new();
    let timed = |s: &&Sample| {
        s.measure == Measure::Run
            && s.phase == KERNEL
            && s.metric == Metric::KernelNs
            && !s.warmup
            && s.error.is_none()
    };
    for sample in samples.iter().filter(timed) {
        if let (Some(ns), 1..) = (sample.value.number(), sample.n) {
            let benchmark = sample
                .function
                .rsplit('/')
                .next()
                .unwrap_or(&sample.function);
            let key = key(&sample.rung, OF_KERNEL, benchmark, Quantity::Ns);
            let process = if sample.process == 0 {
                u32::try_from(sample.order + 1).unwrap_or(u32::MAX)
            } else {
                sample.process
            };
            found
                .entry(key)
                .or_default()
                .push((process, 0, ns as f64 / sample.n as f64));
        }
    }
    let row = |(key, seen): (RowKey, Vec<(u32, u32, f64)>)| {
        Some((key, median(&Levels::from_observations(seen)?).into()))
    };
    found.into_iter().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTS_TABLE: &str = "Runtime,Function,Design,MedianNs,MedianLowNs,MedianHighNs\nwasm,demo/noop,isolated,80000,79000,81000\nwasm,demo/noop,back to back,2000,,\n";
    const OLD_LINE: &str = r#"{"schema":1,"run":"r","rung":"wasm","function":"demo/noop","measure":"start","phase":"total","metric":"wall_ns","value":5100,"n":1,"workers":1,"block":1,"order":0,"seed":7}"#;

    fn run(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let keep = tempfile::tempdir().expect("a directory");
        let dir = keep.path().join("20261124T034500Z-host");
        fs::create_dir(&dir).expect("made");
        for (name, content) in files {
            fs::write(dir.join(name), content).expect("written");
        }
        (keep, dir)
    }

    #[test]
    fn tables_that_are_as_new_as_their_samples_are_read_in_their_place() {
        let (_keep, dir) = run(&[(SAMPLES, "no sample\n"), (STARTS_CSV, STARTS_TABLE)]);
        let found = read_run(&dir).expect("a run");
        assert_eq!(found.unix_seconds, 1_795_491_900);
        let isolated = found.rows[&key("wasm", "isolated", "demo/noop", Quantity::Ns)];
        assert_eq!(isolated.interval, Some(Interval { lo: 79e3, hi: 81e3 }));
        let back = found.rows[&key("wasm", "back to back", "demo/noop", Quantity::Ns)];
        assert_eq!((back.value, back.interval), (2000.0, None));
    }

    #[test]
    fn samples_of_the_first_schema_are_read_as_what_they_are() {
        let (_keep, dir) = run(&[(SAMPLES, &format!("{OLD_LINE}\n"))]);
        let found = read_run(&dir).expect("a run");
        let pooled = found.rows[&key("wasm", "pooled (schema 1)", "demo/noop", Quantity::Ns)];
        assert_eq!(pooled.value, 5100.0);
        assert_eq!(found.machine.fingerprint, "unknown");
    }

    #[test]
    fn what_is_no_run_says_why() {
        let (_keep, dir) = run(&[(SAMPLES, "")]);
        let why = read_run(&dir).expect_err("empty");
        assert!(matches!(why, NoHistory::NoRow(_)), "{why}");
        let (_keep, dir) = run(&[(SAMPLES, "{}\n")]);
        let why = read_run(&dir).expect_err("no sample");
        assert!(matches!(why, NoHistory::Unread(_)), "{why}");
        assert_eq!(time_in_name("latest"), None);
        assert_eq!(time_in_name("20261199T034500Z-host"), None);
    }
}
