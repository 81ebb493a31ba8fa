//! Which rates a rung is offered, for how long, and what it is to hold: from what was asked for and what its closed loop made. Pure, so
//! tested without time.

use std::time::Duration;

use measure_core::contract::open_loop::MAX_ARRIVALS;

use super::mix::Mix;
use super::pattern::Pattern;
use super::trace::Script;
use crate::slo::default_slo_ns;

/// Where arrivals come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One function, at several rates.
    Rates,
    /// Several functions by weights, at the rates that were asked for.
    Mix(Mix),
    /// As a file has them.
    Trace(Script),
}

/// What the command line says.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadSizes {
    /// Where arrivals come from.
    pub source: Source,
    /// How they follow one another, unless a file says it.
    pub pattern: Pattern,
    /// Arrivals a second, if asked for; then nothing is chosen or added.
    pub rates: Option<Vec<f64>>,
    /// Else these shares of the closed loop's throughput, in rising order.
    pub shares: &'static [f64],
    /// Whether rates are added while a rung follows the largest.
    pub is_open_ended: bool,
    /// How long each rate is offered by each process, if asked for.
    pub duration: Option<Duration>,
    /// Else what all of a rung's points may take.
    pub budget: Duration,
    /// Driver processes of a rung.
    pub processes: u32,
    /// Of rungs above [`SLOW_NS`].
    pub slow_processes: u32,
    /// What one worker would take for its part of the closed loop.
    pub closed: Duration,
    /// Starts under way at once, if asked for.
    pub workers: Option<usize>,
    /// The latency to hold at p99, if asked for.
    pub slo: Option<Duration>,
}

/// Shares of the closed loop's throughput at which a fast rung is looked at: closer where it gives.
pub const SHARES: &[f64] = &[0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.15];
/// Of a slow one.
pub const SLOW_SHARES: &[f64] = &[0.2, 0.5, 0.8, 1.0, 1.25];
/// From here on a start is slow, and few of them are had in any time.
pub const SLOW_NS: u64 = 10_000_000;
/// While a rung follows the largest rate, the next is larger by this.
const STEP: f64 = 1.25;
/// How often that is done at most.
const MAX_STEPS: usize = 6;
/// Shortest and longest time that a rate is offered, unless asked for.
const DURATIONS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Largest rate that can be asked for: more than one thread can let go.
pub const MAX_RATE_PER_S: f64 = 1e6;

/// What one worker takes for its part of a closed loop, by default.
pub const CLOSED: Duration = Duration::from_millis(400);

/// The rungs of the quick profile that are loaded.
pub const QUICK_RUNGS: [&str; 4] = ["process", "faaslet", "faaslet-pooled", "docker-none"];

/// The load of the quick profile: three rates, below, near and above what a rung makes, within some twenty seconds.
#[must_use]
pub fn quick() -> LoadSizes {
    LoadSizes {
        source: Source::Rates,
        pattern: Pattern::Poisson,
        rates: None,
        shares: &[0.3, 0.7, 1.1],
        is_open_ended: false,
        duration: None,
        budget: Duration::from_secs(4),
        processes: 6,
        slow_processes: 1,
        closed: Duration::from_millis(60),
        workers: None,
        slo: None,
    }
}

/// What a rung is offered.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Arrivals a second, in rising order.
    pub per_s: Vec<f64>,
    /// For how long each.
    pub duration: Duration,
    /// Whether more may follow.
    steps_left: usize,
}

impl Rates {
    /// For a rung that makes `closed_per_s` starts a second in a closed loop, one of which takes `start_ns` alone.
    #[must_use]
    pub fn plan(sizes: &LoadSizes, closed_per_s: f64, start_ns: u64) -> Self {
        let is_slow = start_ns >= SLOW_NS;
        let shares = if is_slow && sizes.shares == SHARES {
            SLOW_SHARES
        } else {
            sizes.shares
        };
        let chosen = || shares.iter().map(|s| rounded(s * closed_per_s)).collect();
        let per_s = sizes.rates.clone().unwrap_or_else(chosen);
        let steps = sizes.rates.is_none() && sizes.is_open_ended;
        let duration = sizes.duration.unwrap_or_else(|| {
            let points = u32::try_from(per_s.len()).unwrap_or(u32::MAX).max(1);
            let each = sizes.budget / sizes.processes_of(start_ns) / points;
            each.clamp(DURATIONS.0, DURATIONS.1)
        });
        Self {
            per_s,
            duration,
            steps_left: if steps { MAX_STEPS } else { 0 },
        }
    }

    /// The next rate after `largest`, if the rung `follows` it and more may follow; it is offered in later processes too.
    pub fn step(&mut self, follows: bool) -> Option<f64> {
        let largest = self.per_s.last().copied()?;
        if !follows || self.steps_left == 0 {
            return None;
        }
        self.steps_left -= 1;
        let next = rounded(largest * STEP);
        self.per_s.push(next);
        Some(next)
    }

    /// For how long `per_s` is offered: no longer than a loop has room for arrivals.
    #[must_use]
    pub fn duration_ns(&self, per_s: f64) -> u64 {
        // Drawn ones may be a few more.
        let most_s = 0.95 * MAX_ARRIVALS as f64 / per_s;
        (self.duration.as_secs_f64().min(most_s) * 1e9) as u64
    }
}

impl LoadSizes {
    /// Driver processes of a rung of which one start takes `start_ns`.
    #[must_use]
    pub fn processes_of(&self, start_ns: u64) -> u32 {
        let processes = if start_ns >= SLOW_NS {
            self.slow_processes
        } else {
            self.processes
        };
        processes.max(1)
    }

    /// What p99 is to hold, for a rung of which one start alone takes `unloaded_ns`.
    #[must_use]
    pub fn slo_ns(&self, unloaded_ns: u64) -> u64 {
        self.slo.map_or_else(
            || default_slo_ns(unloaded_ns as f64) as u64,
            |slo| u64::try_from(slo.as_nanos()).unwrap_or(u64::MAX),
        )
    }

    /// Starts under way at once of a rung that can have `most`, on a host with `cpus`: enough to keep them busy while some wait.
    #[must_use]
    pub fn workers_of(&self, cpus: usize, most: usize) -> usize {
        self.workers
            .unwrap_or((2 * cpus).max(4))
            .clamp(1, most.max(1))
    }

    /// Starts under way at once of a rung that can have `most` of them, of which one alone takes `start_ns`: as many as `cpus` if it is fast. What is slow
    /// mostly waits; what is fast hardly does, and more workers would only take turns.
    #[must_use]
    pub fn workers_for(&self, start_ns: u64, cpus: usize, most: usize) -> usize {
        match self.workers {
            None if start_ns < SLOW_NS => cpus.clamp(1, most),
            _ => most,
        }
    }

    /// What one worker would take for its part of a closed loop beside a rate.
    #[must_use]
    pub fn beside(&self) -> Duration {
        self.closed / 4
    }
}

/// Two significant digits: a rate that can be said, and is the same in every process.
fn rounded(per_s: f64) -> f64 {
    if !per_s.is_normal() || per_s < 0.0 {
        return 1.0;
    }
    let scale = 10f64.powf(per_s.log10().floor() - 1.0);
    (per_s / scale).round() * scale
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes() -> LoadSizes {
        LoadSizes {
            source: Source::Rates,
            pattern: Pattern::Poisson,
            rates: None,
            shares: SHARES,
            is_open_ended: true,
            duration: None,
            budget: Duration::from_secs(48),
            processes: 6,
            slow_processes: 6,
            closed: Duration::from_millis(400),
            workers: None,
            slo: None,
        }
    }

    #[test]
    fn rates_go_by_the_closed_loop_and_on_while_it_follows() {
        let mut rates = Rates::plan(&sizes(), 52_345.0, 50_000);
        assert_eq!(rates.per_s[0], 5200.0);
        assert_eq!(rates.per_s.len(), SHARES.len());
        assert_eq!(rates.duration, Duration::from_secs(1));
        assert_eq!(rates.step(false), None);
        assert_eq!(rates.step(true), Some(75_000.0));
        for _ in 0..20 {
            rates.step(true);
        }
        assert_eq!(rates.per_s.len(), SHARES.len() + MAX_STEPS);
        let slow = Rates::plan(&sizes(), 9.3, 180_000_000);
        assert_eq!(slow.per_s.len(), SLOW_SHARES.len());
    }

    #[test]
    fn what_was_asked_for_is_not_changed() {
        let asked = LoadSizes {
            rates: Some(vec![3.0, 20_000.5]),
            duration: Some(Duration::from_secs(60)),
            slo: Some(Duration::from_millis(5)),
            workers: Some(9),
            ..sizes()
        };
        let mut rates = Rates::plan(&asked, 100.0, 1);
        assert_eq!(
            (rates.per_s.clone(), rates.step(true)),
            (vec![3.0, 20_000.5], None)
        );
        assert_eq!(rates.duration_ns(3.0), 60_000_000_000);
        // A loop has room for a million.
        assert!(rates.duration_ns(1e6) < 1_000_000_000);
        assert_eq!(asked.slo_ns(1), 5_000_000);
        assert_eq!((asked.workers_of(2, 100), asked.workers_of(2, 3)), (9, 3));
        assert_eq!(asked.workers_for(1, 2, 9), 9);
    }

    #[test]
    fn the_limit_is_ten_times_the_unloaded_median_and_a_millisecond_at_least() {
        assert_eq!(sizes().slo_ns(50_000), 1_000_000);
        assert_eq!(sizes().slo_ns(200_000_000), 2_000_000_000);
        assert_eq!(
            (sizes().workers_of(1, 100), sizes().workers_of(8, 100)),
            (4, 16)
        );
    }

    #[test]
    fn fast_rungs_have_as_many_workers_as_there_are_cpus() {
        let workers = |start_ns, cpus, most| sizes().workers_for(start_ns, cpus, most);
        assert_eq!(workers(50_000, 2, 4), 2);
        assert_eq!(workers(50_000, 8, 3), 3);
        assert_eq!(workers(SLOW_NS, 2, 4), 4);
    }

    proptest! {
        #[test]
        fn whatever_a_rung_makes_its_rates_rise_and_make_sense(closed in 0.0..1e9_f64, start_ns: u64) {
            let rates = Rates::plan(&sizes(), closed, start_ns);
            prop_assert!(rates.per_s.iter().all(|r| r.is_finite() && *r > 0.0));
            prop_assert!(rates.per_s.windows(2).all(|w| w[0] <= w[1]));
            prop_assert!(rates.duration >= DURATIONS.0 && rates.duration <= DURATIONS.1);
        }
    }
}
