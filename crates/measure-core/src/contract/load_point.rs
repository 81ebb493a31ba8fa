//! What one driver process made of arrivals at one rate: a line of `load.jsonl`, written when it is over, so that a run that is
//! killed keeps what lies before.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run_dir::{RunDirError, write_error};
use super::sample::Value;
use crate::base::files::read_file;

/// The file's name, in the directory of a run.
pub const LOAD: &str = "load.jsonl";
/// Version of [`LoadPoint`]'s form; a reader refuses what is newer.
pub const SCHEMA: u32 = 1;

/// A histogram of nanoseconds in HdrHistogram's form V2, deflated, in base64, as the last column of its interval logs has it.
pub type Hdr = String;

/// One point: a rung, a rate, a driver process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadPoint {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// Ladder id.
    pub rung: String,
    /// `user/function`.
    pub function: String,
    /// Which driver process of its rung, from 1.
    pub process: u32,
    /// Position in the order of measurement, over all parts of the run.
    pub block: u32,
    /// How arrivals were drawn: `poisson`, `constant`, `bursts of N`, `trace`.
    pub pattern: String,
    /// What they were drawn with.
    pub seed: u64,
    /// The rate asked for, arrivals a second.
    pub offered_per_s: f64,
    /// For how long.
    pub duration_ns: u64,
    /// Starts under way at once at most; further arrivals queue.
    pub workers: u32,
    /// Starts a second of as many workers in a closed loop, of the same process: of fast rungs right before the point.
    pub closed_loop_per_s: f64,
    /// Median start of one worker in a closed loop, of the rung's first process.
    pub unloaded_ns: u64,
    /// The latency that a rung is to hold at p99.
    pub slo_ns: u64,
    /// How many were due.
    pub arrivals: u64,
    /// Those whose start failed.
    pub failed: u64,
    /// Those that had not begun when the time after the last arrival was over.
    pub refused: u64,
    /// Why the first that failed did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From the loop's beginning until the last start began, at least `duration_ns`.
    pub begun_within_ns: u64,
    /// Arrivals that were due and had not begun, averaged over that time.
    pub queue_mean: f64,
    /// The same, at most.
    pub queue_max: u64,
    /// CPU time of the scope, from the loop's beginning until all was over.
    pub cpu_ns: Value,
    /// The same of an engine's client, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cpu_ns: Option<Value>,
    /// Who asked for the starts.
    pub generator: GeneratorRecord,
    /// What else disturbed the host meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<String>,
    /// What keeping workers would have saved, for several times; only of mixes and traces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_alive: Vec<KeptAlive>,
    /// From when each start that went well was due until it was torn down.
    pub latency: Hdr,
    /// From when it was due until a worker began it.
    pub waited: Hdr,
}

impl LoadPoint {
    /// Starts that went well.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.arrivals.saturating_sub(self.failed + self.refused)
    }

    /// Starts that went well, a second of the time within which they were begun.
    #[must_use]
    pub fn achieved_per_s(&self) -> f64 {
        per_s(self.served(), self.begun_within_ns)
    }

    /// Arrivals a second as they were drawn: by chance not quite `offered_per_s`.
    #[must_use]
    pub fn drawn_per_s(&self) -> f64 {
        per_s(self.arrivals, self.duration_ns)
    }

    /// Whether the rung kept up with what was due.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.refused == 0 && self.achieved_per_s() >= FOLLOWS_SHARE * self.drawn_per_s()
    }
}

/// A rung follows if it serves this share of what is due.
const FOLLOWS_SHARE: f64 = 0.95;

fn per_s(count: u64, ns: u64) -> f64 {
    if ns == 0 {
        return 0.0;
    }
    count as f64 * 1e9 / ns as f64
}

/// What would have become of the starts that went well, had each worker been kept for a while after its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptAlive {
    /// For how long.
    pub kept_ns: u64,
    /// How many starts went well.
    pub starts: u64,
    /// Those of them that would have found no worker.
    pub cold: u64,
    /// Workers there, busy or kept, averaged over the time of the point.
    pub workers_mean: f64,
    /// The same at most.
    pub workers_max: u64,
}

/// How the generator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorRecord {
    /// From when an arrival was due until it was let go, of those that came due while a worker waited for one.
    pub late: Hdr,
    /// CPU time of its thread without handing over.
    pub cpu_ns: u64,
    /// What handing over took: waking a worker is part of a start.
    pub hand_off_ns: u64,
    /// Whether it had a priority before all that is measured.
    pub is_real_time: bool,
    /// Why the point tells nothing of the rung: the generator was late, or short of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
}

/// Appends `point` to the file in `dir`, handed to the kernel at once.
///
/// # Errors
/// [`RunDirError::Write`].
pub fn append(dir: &Path, point: &LoadPoint) -> Result<(), RunDirError> {
    let path = dir.join(LOAD);
    let failed = |e| write_error(&path, e);
    let mut line = serde_json::to_vec(point).map_err(|e| failed(e.into()))?;
    line.push(b'\n');
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    file.write_all(&line).map_err(|error| {
        // Part of the line may have gone in before the disk was full.
        let _ = file.set_len(length);
        failed(error)
    })
}

/// The points in `dir`, in the order in which they were measured; none without the file. A torn last line is left out.
///
/// # Errors
/// [`RunDirError::Read`], [`RunDirError::Newer`] or [`RunDirError::Malformed`].
pub fn read_points(dir: &Path) -> Result<Vec<LoadPoint>, RunDirError> {
    let path = dir.join(LOAD);
    let text = match read_file(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(RunDirError::Read { path, cause }),
    };
    let whole = text.iter().rposition(|&b| b == b'\n').unwrap_or(0);
    let lines = text[..whole].split(|&b| b == b'\n');
    let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| parse(&path, index + 1, line))
        .collect()
}

fn parse(path: &Path, line: usize, text: &[u8]) -> Result<LoadPoint, RunDirError> {
    #[derive(Deserialize)]
    struct SchemaOnly {
        schema: u64,
    }
    // The schema first: a newer line may well lack or change a field that this version wants.
    if let Ok(SchemaOnly { schema }) = serde_json::from_slice(text)
        && schema > u64::from(SCHEMA)
    {
        return Err(RunDirError::Newer {
            path: path.to_owned(),
            line,
            found: schema,
        });
    }
    serde_json::from_slice(text).map_err(|error| RunDirError::Malformed {
        path: path.to_owned(),
        line,
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn point() -> LoadPoint {
        LoadPoint {
            schema: SCHEMA,
            run: "r".into(),
            rung: "wasm".into(),
            function: "demo/noop".into(),
            process: 1,
            block: 4,
            pattern: "poisson".into(),
            seed: 9,
            offered_per_s: 1000.0,
            duration_ns: 1_000_000_000,
            workers: 4,
            closed_loop_per_s: 5000.5,
            unloaded_ns: 2000,
            slo_ns: 1_000_000,
            arrivals: 1003,
            failed: 3,
            refused: 0,
            error: Some("exit code 3".into()),
            begun_within_ns: 1_000_000_000,
            queue_mean: 0.25,
            queue_max: 3,
            cpu_ns: Value::Value(7),
            client_cpu_ns: None,
            generator: GeneratorRecord {
                late: "x".into(),
                cpu_ns: 1,
                hand_off_ns: 2,
                is_real_time: true,
                unfit: None,
            },
            disturbed: None,
            kept_alive: vec![KeptAlive {
                kept_ns: 0,
                starts: 1000,
                cold: 1000,
                workers_mean: 0.5,
                workers_max: 2,
            }],
            latency: "y".into(),
            waited: "z".into(),
        }
    }

    #[test]
    fn points_are_read_as_written_and_a_torn_last_one_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read_points(dir.path()).expect("none yet"), []);
        append(dir.path(), &point()).expect("written");
        append(dir.path(), &point()).expect("written");
        let path = dir.path().join(LOAD);
        let text = fs::read_to_string(&path).expect("readable");
        fs::write(&path, &text[..text.len() - 5]).expect("torn");
        assert_eq!(read_points(dir.path()).expect("whole ones"), [point()]);
    }

    #[test]
    fn a_newer_or_broken_line_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(LOAD);
        fs::write(&path, "{\"schema\":99}\n").expect("written");
        let error = read_points(dir.path()).expect_err("newer").to_string();
        assert!(
            error.contains("load.jsonl:1") && error.contains("99"),
            "{error}"
        );
        fs::write(&path, "\nhello\n").expect("written");
        let error = read_points(dir.path()).expect_err("broken").to_string();
        assert!(error.contains("load.jsonl:2"), "{error}");
    }

    #[test]
    fn a_rung_that_refuses_or_falls_behind_does_not_follow() {
        let good = point();
        assert!(good.follows() && good.served() == 1000);
        let refusing = LoadPoint {
            refused: 1,
            ..point()
        };
        assert!(!refusing.follows());
        let slow = LoadPoint {
            begun_within_ns: 1_200_000_000,
            ..point()
        };
        assert!(!slow.follows());
    }
}
