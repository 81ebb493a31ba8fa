//! JSON lines between a driver and whoever started it.
//!
//! `run` says one `answer`. `time` says `scope`, `ready`, then for each batch its `sample`s and one `batch`; `hold` says `scope`,
//! `ready`, then `parked`; all end with `ended`. With `--gated` a driver waits after `ready` for one
//! [`Go`] per batch (or for the go-ahead to park), so that a sampler can read its counters on both sides
//! of it. A batch may be an open loop ([`super::open_loop`]). Closing the driver's standard input releases it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::open_loop::{Arrivals, OpenLoop};
use super::{Description, Probe, Scope};

/// Version of this protocol, in every line.
pub const VERSION: u32 = 1;

/// A line of the driver's standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`].
    pub v: u32,
    /// What it says.
    #[serde(flatten)]
    pub message: Message,
}

/// What a driver says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "msg", rename_all = "kebab-case")]
pub enum Message {
    /// Of `info`: a rung and whether it can run here.
    Rung {
        /// What it is, isolates and finds warm.
        description: Description,
        /// Whether it can run.
        probe: Probe,
    },
    /// What runs, and whose work counts as its.
    Scope {
        /// As `info` has it.
        description: Description,
        /// `user/function`.
        function: String,
        /// What a sampler outside has to look at.
        scope: Scope,
    },
    /// Everything a start may find ready is ready.
    Ready,
    /// One start.
    Sample(StartSample),
    /// The workers of an open loop wait; the driver reads when it begins.
    Armed,
    /// What became of a part of an open loop's arrivals, once all is over.
    Arrivals(Arrivals),
    /// A batch is over.
    Batch(BatchEnd),
    /// All workers that were asked for are blocked inside the function.
    Parked {
        /// How many, those of earlier go-aheads among them.
        workers: usize,
    },
    /// Of `run`: what the function answered.
    Answer(Answer),
    /// Released, cleaned up; the last line of a good run.
    Ended,
    /// The last line of a bad one.
    Failed {
        /// The driver's message, with what to do.
        error: String,
        /// The exit code to come.
        exit: u8,
    },
}

/// One start, as the driver timed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartSample {
    /// Batch number, from 0.
    pub batch: u32,
    /// Which worker made it.
    pub worker: usize,
    /// Position among this worker's starts in this batch.
    pub order: u64,
    /// Not measured, only warming up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warmup: bool,
    /// When it was asked for, `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// From there to torn down.
    pub total_ns: u64,
    /// Phases in order, as (name, ns).
    pub phases: Vec<(String, u64)>,
    /// Why it failed; then the times mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where it failed because the function ended with an exit code other than 0: that code, 1 to 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// A batch as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEnd {
    /// Batch number, from 0.
    pub batch: u32,
    /// Measured starts that were made, failed ones included.
    pub starts: u64,
    /// Measured starts that failed.
    pub failed: u64,
    /// How many workers shared them.
    pub workers: usize,
    /// When the first measured start was released, `CLOCK_MONOTONIC`.
    pub start_ns: u64,
    /// From there until the last one was torn down: the wall time of the batch.
    pub elapsed_ns: u64,
    /// Ended early by a signal.
    pub interrupted: bool,
}

/// A line of the driver's standard input under `--gated`; an empty line means the command line's
/// values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Go {
    /// Measured starts of this batch.
    pub starts: Option<u64>,
    /// Workers of this batch, at most `--workers`; under `hold` how many to park now, all that are left if it is not said. Where the scope
    /// names a client (its engine holds what is parked) further lines park more of the N, elsewhere one line parks all.
    pub workers: Option<usize>,
    /// Starts per worker before the measured ones.
    pub warmup: Option<u64>,
    /// Say nothing of starts that go well: for counters over the whole batch, in which writing lines
    /// would count as the rung's work.
    pub quiet: bool,
    /// In place of a closed loop of `starts`: arrivals at times drawn beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoop>,
    /// After [`Message::Armed`]: when the open loop begins, `CLOCK_MONOTONIC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin_ns: Option<u64>,
    /// Of handlers: the starts of this batch are requests, one after the other, to one instance that has answered one before.
    pub requests: bool,
}

/// What is wrong with a driver's line.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// No JSON, or not of the form of any message.
    #[error("not a protocol line ({source}): {line:.200}")]
    Malformed {
        /// All of it; the message has its beginning.
        line: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Of a driver that was built from other sources.
    #[error("protocol version {0}, this side speaks {VERSION}: build both from one checkout")]
    Version(u64),
    /// JSON that says no version.
    #[error("a line without a version: {0:.200}")]
    NoVersion(String),
}

/// Parses a driver's line.
///
/// # Errors
/// Not a line of this protocol, or of another version.
pub fn parse_line(line: &str) -> Result<Message, ProtocolError> {
    let malformed = |source| ProtocolError::Malformed {
        line: line.to_owned(),
        source,
    };
    let value: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(line).map_err(malformed)?;
    match value.get("v").and_then(serde_json::Value::as_u64) {
        Some(v) if v == u64::from(VERSION) => {}
        Some(v) => return Err(ProtocolError::Version(v)),
        None => return Err(ProtocolError::NoVersion(line.to_owned())),
    }
    serde_json::from_str::<Line>(line)
        .map(|line| line.message)
        .map_err(malformed)
}

/// The line that says `message`, without its newline.
#[must_use]
pub fn to_line(message: Message) -> String {
    let line = Line {
        v: VERSION,
        message,
    };
    // Plain data with string keys always serialises.
    serde_json::to_string(&line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_a_line() {
        let messages = [
            Message::Ready,
            Message::Parked { workers: 3 },
            Message::Armed,
            Message::Arrivals(Arrivals {
                batch: 2,
                first: 10,
                waited_ns: vec![Some(4), None],
                took_ns: vec![90, 0],
                failed: vec![10],
                error: Some("exit code 3".into()),
            }),
            Message::Sample(StartSample {
                batch: 1,
                worker: 0,
                order: 9,
                warmup: false,
                start_ns: 5,
                total_ns: 7,
                phases: vec![("run".into(), 7)],
                error: Some("exit code 3".into()),
                exit_code: Some(3),
            }),
            Message::Failed {
                error: "x".into(),
                exit: 3,
            },
        ];
        for message in messages {
            let line = to_line(message.clone());
            assert_eq!(parse_line(&line).expect("its own form"), message);
        }
    }

    #[test]
    fn another_version_is_refused() {
        let error = parse_line(r#"{"v":2,"msg":"ready"}"#).expect_err("refused");
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,200}") {
            let _ = parse_line(&line);
        }
    }
}
