//! How many arrivals waited, from when each was due and when it began. Pure, so tested without time.

/// Arrivals that were due and had not begun.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Queue {
    /// Averaged over `span_ns`.
    pub mean: f64,
    /// At most.
    pub max: u64,
    /// From the loop's beginning until the last arrival began, and at least its duration.
    pub span_ns: u64,
}

/// The queue of arrivals due at `offsets_ns`, in rising order, each of which began after `waited_ns`, or never, in a loop of `duration_ns`.
#[must_use]
pub fn queue(offsets_ns: &[u64], waited_ns: &[Option<u64>], duration_ns: u64) -> Queue {
    let both = || offsets_ns.iter().zip(waited_ns);
    let mut begun_ns: Vec<u64> = both()
        .filter_map(|(&due, waited)| Some(due + (*waited)?))
        .collect();
    begun_ns.sort_unstable();
    let span_ns = begun_ns
        .last()
        .copied()
        .unwrap_or(0)
        .max(duration_ns)
        .max(1);
    let waited: f64 = both()
        .map(|(&due, waited)| waited.unwrap_or_else(|| span_ns.saturating_sub(due)) as f64)
        .sum();
    // Right before the k-th began k had: those due by then and not begun wait.
    let mut due = 0;
    let before = (0..).zip(&begun_ns).map(|(begun, &at)| {
        while due < offsets_ns.len() && offsets_ns[due] <= at {
            due += 1;
        }
        (due as u64).saturating_sub(begun)
    });
    let never = (offsets_ns.len() - begun_ns.len()) as u64;
    Queue {
        mean: waited / span_ns as f64,
        max: before.max().unwrap_or(0).max(never),
        span_ns,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_that_wait_for_one_are_a_queue() {
        // Three at once, one worker, 10 each: waits of 0, 10, 20 in 100.
        let found = queue(&[0, 0, 0], &[Some(0), Some(10), Some(20)], 100);
        assert_eq!((found.max, found.span_ns), (3, 100));
        assert!((found.mean - 0.3).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn what_never_began_waits_until_the_end() {
        let found = queue(&[0, 40], &[Some(0), None], 100);
        assert_eq!(found.max, 1);
        assert!((found.mean - 0.6).abs() < 1e-9, "{found:?}");
        let late = queue(&[90], &[Some(60)], 100);
        assert_eq!(late.span_ns, 150);
        assert_eq!(
            queue(&[], &[], 100),
            Queue {
                mean: 0.0,
                max: 0,
                span_ns: 100
            }
        );
    }

    proptest! {
        #[test]
        fn it_is_never_longer_than_there_are_arrivals(
            mut offsets in prop::collection::vec(0..1000_u64, 1..50),
            waited in prop::collection::vec(prop::option::of(0..500_u64), 50),
        ) {
            offsets.sort_unstable();
            let found = queue(&offsets, &waited[..offsets.len()], 1000);
            prop_assert!(found.max >= 1 && found.max <= offsets.len() as u64);
            prop_assert!(found.mean <= found.max as f64 + 1e-9, "{:?}", found);
        }
    }
}
