//! The command line.

use std::path::PathBuf;
use std::time::Duration;

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

/// PSS, USS, RSS and swap of every process of some trees, and their sum; over time the series and
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
    #[error("`{0}` is no duration: a number and us, ms, s, m or h, as in 100ms")]
    NoDuration(String),
    #[error("`{0}` is no time at all")]
    NoTime(String),
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

/// A number with one of the units us, ms, s, m, h.
fn parse_duration(text: &str) -> Result<Duration, ArgumentError> {
    const UNITS: [(&str, f64); 5] = [
        ("us", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    let refused = || ArgumentError::NoDuration(text.to_owned());
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, seconds) = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(refused)?;
    let number: f64 = number.parse().map_err(|_| refused())?;
    let duration = Duration::try_from_secs_f64(number * seconds).map_err(|_| refused())?;
    if duration.is_zero() {
        return Err(ArgumentError::NoTime(text.to_owned()));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_have_units() {
        let parsed = |text| parse_duration(text).ok();
        assert_eq!(parsed("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(parsed("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parsed("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parsed("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(parsed("250us"), Some(Duration::from_micros(250)));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "0s",
            "1d",
            "1..2s",
            "1e400s",
            "99999999999999999999h",
            "1 s",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
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
            let _ = (parse_duration(&text), parse_pid(&text));
        }

        #[test]
        fn whole_milliseconds_are_exact(ms in 1u64..10_000_000) {
            prop_assert_eq!(parse_duration(&format!("{ms}ms")), Ok(Duration::from_millis(ms)));
        }
    }
}
