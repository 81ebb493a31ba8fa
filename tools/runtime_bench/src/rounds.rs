//! Who takes part in a round, and how many processes each rung gets in all. Pure, so tested without time.

use std::time::Duration;

/// More processes than this are not spent on a rung, however wide its interval.
pub const MOST_PROCESSES: u32 = 60;

/// How a rung stands between two rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Processes that have come to their end.
    pub done: u32,
    /// Processes to have at the end.
    pub planned: u32,
    /// Processes that its interval asks for.
    pub wanted: u32,
    /// What one process has taken so far.
    pub cost: Duration,
}

impl Standing {
    fn left(&self) -> u32 {
        self.planned.saturating_sub(self.done)
    }

    fn cost_left(&self) -> Duration {
        self.cost * self.left()
    }
}

/// Which rungs take part in the next round. A rung with fewer processes to come than another takes part in rounds spread
/// evenly over those to come.
#[must_use]
pub fn next_round(standings: &[Standing]) -> Vec<usize> {
    let rounds = standings.iter().map(Standing::left).max().unwrap_or(0);
    let takes_part = |left: u32| left > 0 && 2 * left > rounds;
    let numbered = standings.iter().enumerate();
    numbered
        .filter(|(_, s)| takes_part(s.left()))
        .map(|(index, _)| index)
        .collect()
}

/// Spends what of `left` the planned processes leave over on rungs that want more of them, one each in turns, the cheapest
/// first.
pub fn extend(standings: &mut [Standing], left: Duration) {
    let planned: Duration = standings.iter().map(Standing::cost_left).sum();
    let mut left = left.saturating_sub(planned);
    let mut by_cost: Vec<usize> = (0..standings.len()).collect();
    by_cost.sort_by_key(|&index| standings[index].cost);
    loop {
        let before = left;
        for &index in &by_cost {
            let standing = &mut standings[index];
            let wants = standing.planned < standing.wanted.min(MOST_PROCESSES);
            // One that cost nothing so far is not known yet.
            if wants && !standing.cost.is_zero() && standing.cost <= left {
                standing.planned += 1;
                left -= standing.cost;
            }
        }
        if left == before {
            return;
        }
    }
}

/// Takes planned processes away until the rest fit into `left`, each time from the rung whose rest takes longest.
pub fn cut(standings: &mut [Standing], left: Duration) {
    loop {
        let all: Duration = standings.iter().map(Standing::cost_left).sum();
        let dearest = standings.iter_mut().max_by_key(|s| s.cost_left());
        match dearest {
            Some(standing) if all > left && !standing.cost_left().is_zero() => {
                standing.planned -= 1;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(done: u32, planned: u32, wanted: u32, cost_s: u64) -> Standing {
        Standing {
            done,
            planned,
            wanted,
            cost: Duration::from_secs(cost_s),
        }
    }

    /// The rounds in which each of `planned` takes part.
    fn rounds_of(planned: &[u32]) -> Vec<Vec<usize>> {
        let mut standings: Vec<_> = planned.iter().map(|&p| standing(0, p, p, 1)).collect();
        let mut rounds = vec![Vec::new(); planned.len()];
        for round in 0.. {
            let next = next_round(&standings);
            if next.is_empty() {
                return rounds;
            }
            for index in next {
                standings[index].done += 1;
                rounds[index].push(round);
            }
        }
        rounds
    }

    #[test]
    fn fewer_processes_are_spread_over_the_rounds() {
        let rounds = rounds_of(&[10, 6, 2, 0]);
        assert_eq!(rounds[0], (0..10).collect::<Vec<_>>());
        assert_eq!(rounds[1], [0, 1, 3, 5, 7, 9]);
        assert_eq!(rounds[2], [7, 9]);
        assert!(rounds[3].is_empty());
    }

    #[test]
    fn time_left_over_goes_to_those_that_want_it_and_the_cheapest_first() {
        let mut standings = [
            standing(3, 6, 20, 5),
            standing(3, 10, 14, 1),
            standing(3, 10, 0, 1),
        ];
        extend(&mut standings, Duration::from_secs(15 + 7 + 7 + 8));
        assert_eq!(standings.map(|s| s.planned), [6 + 1, 10 + 3, 10]);
        let mut unknown = [standing(0, 6, 20, 0)];
        extend(&mut unknown, Duration::from_secs(1000));
        assert_eq!(unknown[0].planned, 6);
    }

    #[test]
    fn where_time_is_short_the_dearest_gives_way_first() {
        let mut standings = [standing(1, 6, 6, 10), standing(2, 10, 10, 1)];
        cut(&mut standings, Duration::from_secs(40));
        assert_eq!(standings.map(|s| s.planned), [4, 10]);
        cut(&mut standings, Duration::ZERO);
        assert_eq!(standings.map(|s| s.planned), [1, 2], "what is done is done");
    }

    proptest! {
        #[test]
        fn every_planned_process_gets_its_round(planned in prop::collection::vec(0u32..15, 1..8)) {
            let rounds = rounds_of(&planned);
            let most = planned.iter().copied().max().unwrap_or(0) as usize;
            for (of_rung, planned) in rounds.iter().zip(&planned) {
                prop_assert_eq!(of_rung.len(), *planned as usize);
                prop_assert!(of_rung.iter().all(|&round| round < most));
            }
        }
    }
}
