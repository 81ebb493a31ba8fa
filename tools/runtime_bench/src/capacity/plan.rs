//! How many to park next, and how many in one process. Pure, so tested without a host.

use std::collections::BTreeMap;

use probes::kernel_limits::{Bounded, KernelLimit};
use stats::linear_fit;

/// Share of a limit of one process that may be used.
const OF_PROCESS_LIMIT: f64 = 0.9;
/// One part in so many of a limit of the host is left to others, and to whoever has to end what runs.
const KEPT_PARTS: u64 = 20;
/// But no more than so much of it.
const MOST_KEPT: u64 = 10_000;
/// Least that a worker is taken to weigh, before it is known.
const LEAST_WORKER_BYTES: u64 = 4096;

/// The next number of parked workers at which is measured: 1, 3, 10, 30, 100, ...
pub(super) fn next_point(resident: u64) -> u64 {
    let mut decade: u64 = 1;
    loop {
        for point in [decade, decade.saturating_mul(3)] {
            if point > resident {
                return point;
            }
        }
        if decade == u64::MAX {
            return u64::MAX;
        }
        decade = decade.saturating_mul(10);
    }
}

/// How many more fit until `limit` of the host leaves only what is kept of it; `used_before` of it were used before the `resident` came.
/// `None` while nothing is known of what one uses.
pub(super) fn left_of(limit: &KernelLimit, used_before: u64, resident: u64) -> Option<u64> {
    let kept = (limit.limit / KEPT_PARTS).min(MOST_KEPT);
    let free = limit.limit.saturating_sub(kept).saturating_sub(limit.used);
    let used = limit.used.saturating_sub(used_before);
    if used == 0 || resident == 0 {
        // Whatever they use, nobody may use up the rest.
        return (free == 0).then_some(0);
    }
    // In larger numbers than 64 bits hold: descriptors of a host may be unlimited.
    let left = u128::from(free) * u128::from(resident) / u128::from(used);
    Some(u64::try_from(left).unwrap_or(u64::MAX))
}

/// How many more fit into `above_floor_bytes`, after `resident` took `taken_bytes`.
pub(super) fn left_of_memory(above_floor_bytes: u64, taken_bytes: u64, resident: u64) -> u64 {
    let each = taken_bytes
        .checked_div(resident)
        .map_or(LEAST_WORKER_BYTES, |each| each.max(LEAST_WORKER_BYTES));
    above_floor_bytes / each
}

/// What processes of so many workers used of their own limits.
#[derive(Debug, Default)]
pub(super) struct PerProcess {
    seen: BTreeMap<Bounded, Vec<(f64, f64)>>,
    limits: BTreeMap<Bounded, u64>,
    /// A process with more than so many could not be had.
    refused_above: Option<u64>,
}

impl PerProcess {
    /// Notes what a process with `workers` uses.
    pub(super) fn note(&mut self, workers: u64, limits: &[KernelLimit]) {
        for limit in limits {
            let seen = self.seen.entry(limit.bounded).or_default();
            seen.push((workers as f64, limit.used as f64));
            self.limits.insert(limit.bounded, limit.limit);
        }
    }

    /// Notes that a process of `workers`, more than one, could not be had, while half of it may.
    pub(super) fn refused(&mut self, workers: u64) {
        self.refused_above = Some(workers / 2);
    }

    /// The most workers for one process, and what bounds it; `most` where nothing is known.
    pub(super) fn most(&self, most: u64) -> (u64, Option<Bounded>) {
        let mut found = (most.max(1), None);
        let mut bound = |workers: u64, by: Option<Bounded>| {
            if workers.max(1) < found.0 {
                found = (workers.max(1), by);
            }
        };
        if let Some(refused) = self.refused_above {
            bound(refused, None);
        }
        for (bounded, seen) in &self.seen {
            let limit = self.limits.get(bounded).copied().unwrap_or(u64::MAX);
            let Some(fit) = linear_fit(seen).filter(|fit| fit.slope > 0.0) else {
                continue;
            };
            let workers = (limit as f64 * OF_PROCESS_LIMIT - fit.intercept) / fit.slope;
            // Below zero, and what is no number, become 0; what is too large the largest.
            bound(workers as u64, Some(*bounded));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(bounded: Bounded, limit: u64, used: u64) -> KernelLimit {
        KernelLimit {
            bounded,
            limit,
            used,
        }
    }

    #[test]
    fn points_are_two_a_decade() {
        let mut points = vec![next_point(0)];
        for _ in 0..6 {
            points.push(next_point(points[points.len() - 1]));
        }
        assert_eq!(points, [1, 3, 10, 30, 100, 300, 1000]);
        assert_eq!(next_point(5000), 10_000);
        assert_eq!(next_point(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_is_left_of_a_limit_follows_from_what_each_used() {
        // Each of 1000 is two tasks; 1638 of 32768 are kept.
        let pids = limit(Bounded::PidMax, 32_768, 130 + 2000);
        assert_eq!(left_of(&pids, 130, 1000), Some((32_768 - 1638 - 2130) / 2));
        assert_eq!(left_of(&pids, 2130, 1000), None, "they use none of it");
        assert_eq!(left_of(&pids, 130, 0), None);
        let full = limit(Bounded::PidMax, 32_768, 31_900);
        assert_eq!(left_of(&full, 31_900, 5), Some(0), "others used it up");
        let unlimited = limit(Bounded::FileMax, u64::MAX, 5000);
        assert_eq!(
            left_of(&unlimited, 1000, 1),
            Some((u64::MAX - 15_000) / 4000)
        );
    }

    #[test]
    fn memory_is_left_for_as_many_as_weigh_what_the_others_do() {
        assert_eq!(left_of_memory(1 << 30, 100 << 20, 100), 1024);
        assert_eq!(left_of_memory(1 << 30, 0, 0), 1 << 18);
        assert_eq!(left_of_memory(0, 100, 1), 0);
        assert_eq!(left_of_memory(4096, 10, 1000), 1);
    }

    #[test]
    fn a_process_holds_as_many_as_its_limits_let() {
        let mut per_process = PerProcess::default();
        assert_eq!(per_process.most(4000), (4000, None));
        let used = |workers: u64| {
            [
                limit(Bounded::MapCount, 65_530, 200 + 12 * workers),
                limit(Bounded::OpenFiles, 1_048_576, 30 + 3 * workers),
            ]
        };
        per_process.note(1, &used(1));
        assert_eq!(per_process.most(4000), (4000, None), "one point is no line");
        per_process.note(20, &used(20));
        let (most, by) = per_process.most(100_000);
        assert_eq!((most, by), (4898, Some(Bounded::MapCount)));
        assert_eq!(per_process.most(300), (300, None));
        per_process.refused(1000);
        assert_eq!(per_process.most(100_000), (500, None));
        per_process.refused(1);
        assert_eq!(per_process.most(100_000), (1, None), "never none");
    }

    proptest! {
        #[test]
        fn points_grow_and_end_at_most_threefold(resident in 1u64..1_000_000_000) {
            let next = next_point(resident);
            prop_assert!(next > resident && next <= 4 * resident);
        }

        #[test]
        fn what_is_left_never_passes_the_limit(most in 1u64..1_000_000, before in 0u64..1000, each in 1u64..20, resident in 1u64..1000) {
            let used = before + each * resident;
            if let Some(left) = left_of(&limit(Bounded::PidMax, most, used), before, resident) {
                prop_assert!(left == 0 || used + left * each <= most);
            }
        }
    }
}
