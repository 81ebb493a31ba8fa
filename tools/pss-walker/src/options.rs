//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::duration::{DurationError, parse_duration};
use measure_core::base::exit::after_help;
use structopt::StructOpt;
use structopt::clap::AppSettings;

const DEFAULT_INTERVAL: Duration = Duration::from_millis(100);
const MIN_INTERVAL: Duration = Duration::from_micros(100);

const EXAMPLES: &str = "\
EXAMPLES:
    pss-walker 1234 5678                 two trees, once
    pss-walker --name dockerd --name containerd
    pss-walker --cgroup /sys/fs/cgroup/memory/docker
    pss-walker --name firefox --interval 100ms --duration 10s
    pss-walker 1234 --interval 1s --json > memory.jsonl     until Ctrl-C or its end

COLUMNS:
    PSS   proportional set size: each page divided by how many processes map it; the sum
          counts every page once
    USS   unique set size: pages that only this process maps
    RSS   resident set size; in a sum, shared pages count once per process
    SWAP  swapped out
    All in KiB (bytes with --json). Page tables and kernel stacks are in none of them.

NOTES:
    A tree is a process and its descendants by parent id, looked up anew for each sample.
    Processes of other users need root (CAP_SYS_PTRACE). A series' peak is that of its
    samples: what lives shorter than the interval may be missed.
";

/// Weighs process trees: PSS, USS, RSS and swap of every process, and their sum; over time the series and
/// its peak.
#[derive(Debug, StructOpt)]
#[structopt(name = "pss-walker", after_help = after_help(EXAMPLES), setting = AppSettings::UnifiedHelpMessage)]
pub struct Options {
    /// Roots of process trees
    #[structopt(name = "PID", parse(try_from_str = parse_pid))]
    pub pids: Vec<i32>,
    /// Every process of this name (as in /proc/PID/comm) or executable file name, and its tree; may
    /// be given several times
    #[structopt(long, value_name = "NAME", number_of_values = 1)]
    pub name: Vec<String>,
    /// Every process in this cgroup directory and below it; may be given several times
    #[structopt(long, value_name = "PATH", number_of_values = 1)]
    pub cgroup: Vec<PathBuf>,
    /// Samples at this interval, for example 100ms or 1s [default with --duration: 100ms]
    #[structopt(long, parse(try_from_str = parse_interval))]
    pub interval: Option<Duration>,
    /// How long to go on sampling, for example 10s or 2m [default with --interval: until Ctrl-C or
    /// until no process is left]
    #[structopt(long, parse(try_from_str = parse_duration))]
    pub duration: Option<Duration>,
    /// JSON lines instead of a table: one walk, or a point per sample and at last the peak
    #[structopt(long)]
    pub json: bool,
}

impl Options {
    /// Whether a series was asked for.
    #[must_use]
    pub fn over_time(&self) -> bool {
        self.interval.is_some() || self.duration.is_some()
    }

    /// From the start of one sample to the start of the next.
    #[must_use]
    pub fn sample_interval(&self) -> Duration {
        self.interval.unwrap_or(DEFAULT_INTERVAL)
    }
}

/// What is wrong with an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("`{0}` is no process id (a number above 0); for a name use --name {0}")]
    NoPid(String),
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error("`{0}` is too short, the least is 100us")]
    TooShort(String),
}

fn parse_pid(text: &str) -> Result<i32, ArgumentError> {
    let pid = text.parse().ok().filter(|&pid: &i32| pid > 0);
    pid.ok_or_else(|| ArgumentError::NoPid(text.to_owned()))
}

fn parse_interval(text: &str) -> Result<Duration, ArgumentError> {
    let interval = parse_duration(text)?;
    if interval < MIN_INTERVAL {
        return Err(ArgumentError::TooShort(text.to_owned()));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_interval_has_a_least() {
        assert_eq!(parse_interval("100us"), Ok(MIN_INTERVAL));
        assert!(parse_interval("1us").is_err());
    }

    #[test]
    fn pids_are_above_zero() {
        assert_eq!(parse_pid("12"), Ok(12));
        for bad in ["0", "-1", "dockerd", "", "99999999999"] {
            assert!(parse_pid(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = (parse_interval(&text), parse_pid(&text));
        }
    }
}
