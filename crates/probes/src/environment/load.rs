//! How busy the machine is, and how much of it the hypervisor gives to others.
//!
//! Parsed here and not by `procfs`, whose load averages are of single precision and whose `/proc/stat` is an error as a
//! whole where a kernel leaves out what is not needed here.

use std::thread;
use std::time::Duration;

use measure_core::contract::environment::{CpuTime, Load};

use super::{FactError, Host};

/// How long the machine is watched before a run. The kernel counts in ticks of 1 to 10 ms, so a
/// shorter time would not tell idle from busy.
pub const WATCH: Duration = Duration::from_millis(250);

pub(super) fn now(host: &Host) -> Load {
    Load {
        unix_seconds: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        average: average(host).into(),
        cpu: host
            .text("/proc/stat")
            .ok()
            .and_then(|text| parse_stat(&text)),
        swapped_pages: host
            .text("/proc/vmstat")
            .ok()
            .and_then(|text| parse_swapped(&text)),
        watched: None,
    }
}

pub(super) fn watch(host: &Host) -> Load {
    let first = now(host);
    thread::sleep(WATCH);
    let mut load = now(host);
    load.watched = load.since(&first);
    load
}

fn average(host: &Host) -> Result<Vec<f64>, FactError> {
    let text = host.text("/proc/loadavg")?;
    let averages: Vec<f64> = text
        .split_whitespace()
        .take(3)
        .filter_map(|word| word.parse().ok())
        .collect();
    if averages.len() == 3 {
        Ok(averages)
    } else {
        Err(FactError::Malformed {
            what: "/proc/loadavg".to_owned(),
            wanted: "averages",
            text,
        })
    }
}

/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest time is in user.
fn parse_stat(text: &str) -> Option<CpuTime> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let at = |i: usize| ticks.get(i).copied().unwrap_or(0);
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    (ticks.len() >= 4).then(|| CpuTime {
        cpus: text.lines().filter(is_cpu).count() as u64,
        busy: [0, 1, 2, 5, 6]
            .iter()
            .fold(0, |sum: u64, &i| sum.saturating_add(at(i))),
        idle: at(3).saturating_add(at(4)),
        steal: at(7),
    })
}

fn parse_swapped(text: &str) -> Option<u64> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(' ')?;
            (key == name).then(|| value.trim().parse::<u64>().ok())?
        })
    };
    Some(field("pswpin")?.saturating_add(field("pswpout")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_of_what_passed_between() {
        let then = parse_stat("cpu  100 0 100 1000 0 0 0 10 0 0\ncpu0 1 2 3 4\n").expect("a line");
        let now =
            parse_stat("cpu  130 0 120 1100 40 5 5 70 0 0\ncpu0 1\ncpu1 1\n").expect("a line");
        let activity = now.activity_since(then).expect("ticks passed");
        // busy 60, idle 140, steal 60 of 260.
        assert!((activity.busy_cpus - 2.0 * 60.0 / 260.0).abs() < 1e-12);
        assert!((activity.steal_share - 0.5).abs() < 1e-12);
        assert_eq!(then.activity_since(then), None);
    }

    #[test]
    fn swapping_is_the_sum_of_both_ways() {
        assert_eq!(parse_swapped("pswpin 3\npswpinx 9\npswpout 4\n"), Some(7));
        assert_eq!(parse_swapped("pgfault 3\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "cpu [0-9 ]{0,80}|\\PC{0,80}") {
            let _ = (parse_stat(&text), parse_swapped(&text));
        }
    }
}
