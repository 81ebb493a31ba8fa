//! How often a kernel runs in one process, and how many runs fit into a budget. Pure.

use std::ops::Range;
use std::time::Duration;

use stats::levels::MIN_PROCESSES;

/// A shorter kernel is repeated in its process until its times add up to this. Reading the clock takes some
/// tens of nanoseconds on either side and its steps are no larger, so that is a part in 10^5.
const FINE_ENOUGH: Duration = Duration::from_millis(10);
/// Times that one process may write.
const MAX_REPEATS: u64 = 1000;
/// What initialising for each repeat may make of a run.
const LONGEST_REPEATED: Duration = Duration::from_secs(1);
/// What finding the fastest native build may take, if three runs of each do.
const CHOOSING: Duration = Duration::from_millis(1500);
/// A native build that took so many times as long as the fastest in one run of a long kernel is not going to be the fastest.
const FAR_BEHIND: f64 = 1.15;
/// The runs that choose a native build are counted from here on, beyond those that choose the repeats.
pub(crate) const CHOOSING_ORDER: u64 = 10;
/// A kernel whose whole run takes this long is not calibrated: it is not short.
pub(crate) const LONG: Duration = Duration::from_millis(500);

/// How often the kernel is to run in one process, from one run in each column (kernel and whole run, in
/// nanoseconds): as often as the shortest needs, the same in every column.
pub(crate) fn repeats(runs: &[(u64, u64)]) -> u64 {
    let shortest = runs.iter().map(|r| r.0).min().unwrap_or(u64::MAX).max(1);
    let slowest = runs.iter().map(|r| r.1).max().unwrap_or(1).max(1);
    let wanted = nanoseconds(FINE_ENOUGH).div_ceil(shortest);
    let bearable = nanoseconds(LONGEST_REPEATED) / slowest;
    wanted.min(bearable).clamp(1, MAX_REPEATS)
}

/// How many runs of each native build tell which is the fastest, where one run of every column takes `round`: as many as fit
/// into some seconds, three at least.
pub(crate) fn choosing(round: Duration) -> u64 {
    let fit = CHOOSING.as_nanos() / round.as_nanos().max(1);
    u64::try_from(fit).unwrap_or(u64::MAX).clamp(3, 7)
}

/// Which native builds are to be run once more to find the fastest, by the kernel times that each had so far: all, but where a round
/// is long those that were not far behind in their first run.
pub(crate) fn worth_a_run(round: Duration, kernel_ns: &[Vec<u64>]) -> Vec<bool> {
    let first = |times: &Vec<u64>| times.first().copied();
    let fastest = kernel_ns.iter().filter_map(first).min();
    let near = |times: &Vec<u64>| match (first(times), fastest) {
        (Some(ns), Some(fastest)) => ns as f64 <= FAR_BEHIND * fastest as f64,
        _ => fastest.is_none(),
    };
    kernel_ns
        .iter()
        .map(|times| round < LONG || near(times))
        .collect()
}

/// The iterations of each column that fit into `share`, if one run of every column takes `round`: all that
/// were `asked` for if they fit, never fewer than an interval needs.
pub(crate) fn iterations(asked: &[u32], round: Duration, share: Option<Duration>) -> Vec<u32> {
    let Some(share) = share else {
        return asked.to_vec();
    };
    let fit = share.as_nanos() / round.as_nanos().max(1);
    let most = u32::try_from(fit).unwrap_or(u32::MAX);
    let least = u32::try_from(MIN_PROCESSES).unwrap_or(u32::MAX);
    asked.iter().map(|&n| n.min(most.max(least))).collect()
}

/// A shorter block cannot be told to be quiet: what counts the host's work ticks (docs/records.md).
const WATCHED_AT_LEAST: Duration = Duration::from_secs(1);

/// Which neighbours of those that take `durations` are watched together, so that each block is long enough to tell.
pub(crate) fn watched_together(durations: &[Duration]) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let (mut begin, mut taken) = (0, Duration::ZERO);
    for (index, &duration) in durations.iter().enumerate() {
        taken += duration;
        if taken >= WATCHED_AT_LEAST {
            blocks.push(begin..index + 1);
            (begin, taken) = (index + 1, Duration::ZERO);
        }
    }
    match blocks.last_mut() {
        // What is left over is too short on its own.
        Some(last) => last.end = durations.len(),
        None if durations.is_empty() => {}
        None => blocks.push(0..durations.len()),
    }
    blocks
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_kernels_are_repeated_and_long_ones_are_not() {
        let (us, ms, s) = (1000, 1_000_000, 1_000_000_000);
        assert_eq!(repeats(&[(2 * s, 2 * s), (3 * s, 3 * s)]), 1);
        assert_eq!(repeats(&[(10 * ms, 12 * ms)]), 1);
        assert_eq!(repeats(&[(9 * ms, 12 * ms)]), 2);
        assert_eq!(repeats(&[(100 * us, 2 * ms), (200 * us, ms)]), 100);
        assert_eq!(repeats(&[(us, ms)]), 1000);
        // Initialising takes far longer than the kernel.
        assert_eq!(repeats(&[(100 * us, 100 * ms)]), 10);
        assert_eq!(repeats(&[]), 1);
        assert_eq!(repeats(&[(0, 0)]), 1000);
    }

    #[test]
    fn a_budget_cuts_down_to_what_an_interval_needs() {
        let s = Duration::from_secs;
        assert_eq!(iterations(&[20, 30], s(1), None), [20, 30]);
        assert_eq!(iterations(&[20, 30], s(1), Some(s(25))), [20, 25]);
        assert_eq!(iterations(&[20, 0, 3], s(10), Some(s(1))), [6, 0, 3]);
    }

    #[test]
    fn of_long_kernels_builds_far_behind_are_run_once() {
        let (long, short) = (Duration::from_secs(9), Duration::from_millis(9));
        let none = vec![Vec::new(); 3];
        assert_eq!(worth_a_run(long, &none), [true; 3]);
        let once = [vec![1000], vec![1150], vec![1151]];
        assert_eq!(worth_a_run(long, &once), [true, true, false]);
        assert_eq!(worth_a_run(short, &once), [true; 3]);
        // What failed is out already, and does not come back.
        assert_eq!(worth_a_run(long, &[vec![5], vec![]]), [true, false]);
    }

    #[test]
    fn short_neighbours_are_watched_together() {
        let ms = |all: &[u64]| -> Vec<Duration> {
            all.iter().map(|&ms| Duration::from_millis(ms)).collect()
        };
        let together = |all: &[u64]| -> Vec<(usize, usize)> {
            let blocks = watched_together(&ms(all)).into_iter();
            blocks.map(|block| (block.start, block.end)).collect()
        };
        assert_eq!(together(&[]), []);
        assert_eq!(together(&[10, 10]), [(0, 2)]);
        assert_eq!(together(&[1500, 400, 600, 2000]), [(0, 1), (1, 3), (3, 4)]);
        assert_eq!(together(&[400, 700, 300]), [(0, 3)], "the rest goes along");
    }

    proptest! {
        #[test]
        fn repeats_are_in_range_and_not_too_long(runs in prop::collection::vec((1..u64::MAX, 1..u64::MAX), 0..5)) {
            let found = repeats(&runs);
            prop_assert!((1..=MAX_REPEATS).contains(&found));
            for (_, whole) in runs {
                prop_assert!(found == 1 || found * whole <= nanoseconds(LONGEST_REPEATED));
            }
        }
    }
}
