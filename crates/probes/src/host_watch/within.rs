//! What has no counter, looked at now and then within a block.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::error::WatchError;
use crate::host::{FactError, Host};

/// CPUs whose frequency is looked at: reading it may wake a CPU up.
const FREQUENCY_CPUS: usize = 16;

/// The thread that looks; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Within {
    host: Host,
    /// Ready to run when the block began.
    first: Result<u64, FactError>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Looks>>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) run_queue: Result<u64, WatchError>,
    /// Of the fastest CPU, when it was lowest and when it was highest.
    pub(super) frequency_khz: Result<(u64, u64), WatchError>,
}

#[derive(Debug, Default)]
struct Looks {
    run_queue: u64,
    fastest_khz: Vec<u64>,
}

impl Within {
    pub(super) fn start(host: Host, interval: Duration) -> Self {
        let (stop, stopped) = channel::<()>();
        let theirs = host.clone();
        let look_on = move || {
            let mut looks = Looks::default();
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                looks.run_queue = looks.run_queue.max(run_queue(&theirs).unwrap_or(0));
                looks.fastest_khz.extend(fastest_khz(&theirs));
            }
            looks
        };
        Self {
            first: run_queue(&host),
            host,
            stop: Some(stop),
            // Without one only the ends are seen.
            thread: thread::Builder::new().spawn(look_on).ok(),
        }
    }

    pub(super) fn end(mut self) -> Seen {
        let last = run_queue(&self.host);
        self.stop.take();
        let looks = self.thread.take().and_then(|thread| thread.join().ok());
        let looks = looks.unwrap_or_default();
        let khz = looks.fastest_khz.iter().copied();
        let frequency_khz = match khz.clone().min().zip(khz.max()) {
            Some(range) if looks.fastest_khz.len() > 1 => Ok(range),
            _ => match frequency_of(&self.host, 0) {
                Ok(_) => Err(WatchError::TooShort),
                Err(why) => Err(why.into()),
            },
        };
        Seen {
            run_queue: ends(self.first, last).map(|ends| ends.max(looks.run_queue)),
            frequency_khz,
        }
    }
}

fn ends(first: Result<u64, FactError>, last: Result<u64, FactError>) -> Result<u64, WatchError> {
    Ok(first?.max(last?))
}

/// Tasks that are ready to run, without the one that asks.
fn run_queue(host: &Host) -> Result<u64, FactError> {
    host.found("/proc/loadavg", "tasks", |text| {
        let ready = text.split_whitespace().nth(3)?.split('/').next()?;
        Some(ready.parse::<u64>().ok()?.saturating_sub(1))
    })
}

fn frequency_of(host: &Host, cpu: usize) -> Result<u64, FactError> {
    host.number(&format!(
        "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"
    ))
}

fn fastest_khz(host: &Host) -> Option<u64> {
    let known = (0..FREQUENCY_CPUS).map_while(|cpu| frequency_of(host, cpu).ok());
    known.max()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::tests::{made_up, write_files};

    fn frequencies(khz: [u64; 2]) -> String {
        let file = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
        format!("{}: {}\n{}: {}\n", file(0), khz[0], file(1), khz[1])
    }

    #[test]
    fn the_peak_between_the_ends_is_seen_and_the_fastest_cpu_counts() {
        let idle = "/proc/loadavg: 0.1 0.1 0.1 1/90 7\n";
        let (keep, host) = made_up(&(idle.to_owned() + &frequencies([800_000, 3_000_000])));
        let within = Within::start(host, Duration::from_millis(5));
        thread::sleep(Duration::from_millis(200));
        let busy = "/proc/loadavg: 0.1 0.1 0.1 6/90 7\n";
        write_files(
            keep.path(),
            &(busy.to_owned() + &frequencies([2_000_000, 800_000])),
        );
        thread::sleep(Duration::from_millis(200));
        write_files(keep.path(), idle);
        let seen = within.end();
        assert_eq!(seen.run_queue.expect("shown"), 5);
        assert_eq!(seen.frequency_khz.expect("shown"), (2_000_000, 3_000_000));
    }

    #[test]
    fn what_is_not_shown_and_what_is_too_short_have_their_reasons() {
        let seen = |files: &str| {
            let (_keep, host) = made_up(files);
            Within::start(host, Duration::from_secs(60)).end()
        };
        let nothing = seen("");
        let why = nothing.frequency_khz.expect_err("no cpufreq").to_string();
        assert!(why.contains("scaling_cur_freq"), "{why}");
        let why = nothing.run_queue.expect_err("no loadavg").to_string();
        assert!(why.contains("/proc/loadavg"), "{why}");
        let short = seen(&frequencies([1, 1])).frequency_khz;
        assert!(matches!(short, Err(WatchError::TooShort)));
    }

    proptest! {
        #[test]
        fn no_load_panics(text in "[0-9./ ]{0,30}") {
            let (_keep, host) = made_up(&format!("/proc/loadavg: {text}"));
            let _ = run_queue(&host);
        }

        #[test]
        fn the_one_that_asks_is_left_out(ready in 1_u64..10_000) {
            let (_keep, host) = made_up(&format!("/proc/loadavg: 0.00 0.01 0.02 {ready}/20000 9"));
            prop_assert_eq!(run_queue(&host).expect("a load"), ready - 1);
        }
    }
}
