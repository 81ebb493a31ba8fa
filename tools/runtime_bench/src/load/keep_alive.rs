//! What keeping workers for a while would have saved: computed from when starts were due and how long they took, as no rung here keeps
//! the worker of a start for the next one. Pure, so tested without time.

use measure_core::contract::load_point::KeptAlive;

/// For how long a worker that has ended is kept, in the tables.
pub const KEPT_NS: [u64; 3] = [0, 1_000_000_000, 10_000_000_000];

/// A worker of one function.
#[derive(Debug, Clone, Copy)]
struct Worker {
    /// When it was there first, and when it ended its last start.
    from_ns: u64,
    idle_since_ns: u64,
}

/// What becomes of starts of one function, each from when it was due until it ended, in rising order of the former, if a worker is kept for
/// `kept_ns` after it has ended, and `parked` are there at the beginning: a start that finds one takes it, the one that became idle last.
#[must_use]
pub fn keep_alive(starts: &[(u64, u64)], parked: usize, kept_ns: u64, span_ns: u64) -> KeptAlive {
    let beginning = Worker {
        from_ns: 0,
        idle_since_ns: 0,
    };
    // At 0 nothing is kept, not even what was there.
    let mut idle = vec![beginning; if kept_ns == 0 { 0 } else { parked }];
    let (mut cold, mut lives): (u64, Vec<(u64, u64)>) = (0, Vec::new());
    for &(due_ns, end_ns) in starts {
        let (kept, gone): (Vec<Worker>, Vec<Worker>) = idle
            .into_iter()
            .partition(|w| w.idle_since_ns.saturating_add(kept_ns) > due_ns);
        lives.extend(gone.iter().map(|w| (w.from_ns, w.idle_since_ns + kept_ns)));
        idle = kept;
        let ready = (0..idle.len()).filter(|&i| idle[i].idle_since_ns <= due_ns);
        let found = ready.max_by_key(|&i| idle[i].idle_since_ns);
        let from_ns = match found {
            Some(index) => idle.swap_remove(index).from_ns,
            None => {
                cold += 1;
                due_ns
            }
        };
        idle.push(Worker {
            from_ns,
            idle_since_ns: end_ns,
        });
    }
    lives.extend(
        idle.iter()
            .map(|w| (w.from_ns, w.idle_since_ns.saturating_add(kept_ns))),
    );
    let (mean, max) = at_once(&lives, span_ns.max(1));
    KeptAlive {
        kept_ns,
        starts: starts.len() as u64,
        cold,
        workers_mean: mean,
        workers_max: max,
    }
}

/// How many of `lives` there are at once within `span_ns`: on average, and at most.
fn at_once(lives: &[(u64, u64)], span_ns: u64) -> (f64, u64) {
    let all: u64 = lives
        .iter()
        .map(|&(from, to)| to.min(span_ns).saturating_sub(from))
        .sum();
    // An end before a beginning at the same moment.
    let mut changes: Vec<(u64, i64)> = lives
        .iter()
        .flat_map(|&(from, to)| [(from, 1), (to, -1)])
        .collect();
    changes.sort_unstable();
    let (mut now, mut most) = (0_i64, 0_i64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    (all as f64 / span_ns as f64, most.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn who_comes_again_in_time_finds_its_worker() {
        // Due every 2 s, each taking 1 s: a worker kept for 1 s is gone right when it is wanted.
        let starts = [(0, S), (2 * S, 3 * S), (4 * S, 5 * S)];
        let never = keep_alive(&starts, 0, 0, 10 * S);
        assert_eq!((never.cold, never.workers_max), (3, 1));
        assert!((never.workers_mean - 0.3).abs() < 1e-9);
        assert_eq!(keep_alive(&starts, 0, S, 10 * S).cold, 3);
        let kept = keep_alive(&starts, 0, 2 * S, 10 * S);
        assert_eq!((kept.cold, kept.workers_max), (1, 1));
        assert!((kept.workers_mean - 0.7).abs() < 1e-9, "{kept:?}");
    }

    #[test]
    fn who_comes_while_all_are_busy_is_cold() {
        let starts = [(0, 10 * S), (S, 2 * S), (3 * S, 4 * S)];
        let kept = keep_alive(&starts, 0, 10 * S, 20 * S);
        assert_eq!((kept.cold, kept.workers_max), (2, 2));
    }

    #[test]
    fn what_was_parked_before_is_found_until_its_time_is_over() {
        let starts = [(S / 2, S), (60 * S, 61 * S)];
        assert_eq!(keep_alive(&starts, 2, 10 * S, 100 * S).cold, 1);
        assert_eq!(keep_alive(&starts, 2, 0, 100 * S).cold, 2);
    }

    proptest! {
        #[test]
        fn keeping_longer_never_makes_more_starts_cold(
            gaps in prop::collection::vec((0..5 * S, 1..3 * S), 1..60), parked in 0..4_usize
        ) {
            let mut due = 0;
            let starts: Vec<(u64, u64)> = gaps.iter().map(|&(gap, took)| {
                due += gap;
                (due, due + took)
            }).collect();
            let span = due + 10 * S;
            let kept: Vec<KeptAlive> = [0, S, 10 * S, 1000 * S].map(|ns| keep_alive(&starts, parked, ns, span)).into();
            prop_assert!(kept.windows(2).all(|w| w[0].cold >= w[1].cold), "{:?}", kept);
            prop_assert_eq!(kept[0].cold, starts.len() as u64);
            prop_assert!(kept.iter().all(|k| k.workers_mean <= k.workers_max as f64 + 1e-9));
        }
    }
}
