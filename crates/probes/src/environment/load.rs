//! How busy the machine is, and how much of it the hypervisor gives to others.
//!
//! The load averages are parsed here and not by `procfs`, whose are of single precision.

use std::thread;
use std::time::Duration;

use measure_core::contract::environment::{CpuTime, Load};

use super::{FactError, Host};
use crate::host::CpuTicks;

/// How long the machine is watched before a run. The kernel counts in ticks of 1 to 10 ms, so a
/// shorter time would not tell idle from busy.
pub const WATCH: Duration = Duration::from_millis(250);

pub(super) fn now(host: &Host) -> Load {
    Load {
        unix_seconds: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        average: average(host).into(),
        cpu: host.cpu_ticks().ok().map(cpu_time),
        swapped_pages: host.swapped_pages().ok(),
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
    host.found("/proc/loadavg", "averages", |text| {
        let words = text.split_whitespace().take(3);
        let averages: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
        (averages.len() == 3).then_some(averages)
    })
}

fn cpu_time(ticks: CpuTicks) -> CpuTime {
    CpuTime {
        cpus: ticks.cpus,
        busy: ticks.tasks.saturating_add(ticks.interrupts),
        idle: ticks.idle,
        steal: ticks.steal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::parse_cpu_ticks;

    #[test]
    fn shares_are_of_what_passed_between() {
        let time = |text| cpu_time(parse_cpu_ticks(text).expect("a line"));
        let then = time("cpu  100 0 100 1000 0 0 0 10 0 0\ncpu0 1 2 3 4\n");
        let now = time("cpu  130 0 120 1100 40 5 5 70 0 0\ncpu0 1\ncpu1 1\n");
        let activity = now.activity_since(then).expect("ticks passed");
        // busy 60, idle 140, steal 60 of 260.
        assert!((activity.busy_cpus - 2.0 * 60.0 / 260.0).abs() < 1e-12);
        assert!((activity.steal_share - 0.5).abs() < 1e-12);
        assert_eq!(then.activity_since(then), None);
    }
}
