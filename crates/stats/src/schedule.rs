//! The order in which blocks are measured: interleaved and random, so that a host that drifts (heats
//! up, gets a noisy neighbour) drifts under all rungs alike instead of under the last one, and no rung
//! always follows the same other one. Reproducible from the seed; pure, so tested without time.

/// One block of the schedule: a repetition of a task (a rung with a configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    /// Index of the task in the list given to [`interleave`].
    pub task: usize,
    /// Which repetition of the task, from 0, in order of time.
    pub repetition: u32,
    /// The round it falls into, from 0.
    pub round: u32,
}

/// The blocks of tasks that are to be repeated `repetitions[task]` times each, in the order in which to
/// measure them.
///
/// There are as many rounds as the most repeated task has repetitions. Each round holds that task once;
/// a task with fewer repetitions falls into rounds spread evenly over the run. Within a round the order
/// is random.
#[must_use]
pub fn interleave(seed: u64, repetitions: &[u32]) -> Vec<Block> {
    let rounds = repetitions.iter().copied().max().unwrap_or(0);
    let mut by_round: Vec<Vec<Block>> = vec![Vec::new(); rounds as usize];
    for (task, &count) in repetitions.iter().enumerate() {
        for repetition in 0..count {
            let round = spread(repetition, count, rounds);
            by_round[round as usize].push(Block {
                task,
                repetition,
                round,
            });
        }
    }
    let mut random = SplitMix64::new(seed);
    for round in &mut by_round {
        random.shuffle(round);
    }
    by_round.into_iter().flatten().collect()
}

/// The round of repetition `k` of `count`: the middle of the `k`th of `count` equal parts of the rounds.
fn spread(k: u32, count: u32, rounds: u32) -> u32 {
    let middle = (2 * u64::from(k) + 1) * u64::from(rounds) / (2 * u64::from(count));
    u32::try_from(middle).unwrap_or(rounds - 1)
}

/// A small generator whose sequence will never change, so that a seed in an old record still means the
/// same order (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The generator that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0, each equally likely.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Numbers from the incomplete last stretch of the range would favour the small results.
        let whole = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.next_u64();
            if drawn < whole {
                return drawn % bound;
            }
        }
    }

    /// Puts `items` into random order, every order equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // Both fit: `last` is a length, and the result is at most `last`.
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // First outputs for seed 1234567, as in the reference implementation's published test vector.
        let mut random = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn an_empty_plan_has_no_blocks() {
        assert!(interleave(1, &[]).is_empty());
        assert!(interleave(1, &[0, 0]).is_empty());
    }

    #[test]
    fn every_place_is_equally_likely() {
        let mut counts = [[0u32; 4]; 4];
        for seed in 0..4000 {
            for (place, block) in interleave(seed, &[1, 1, 1, 1]).iter().enumerate() {
                counts[block.task][place] += 1;
            }
        }
        // Binomial(4000, 1/4): standard deviation 27; five of them.
        for count in counts.iter().flatten() {
            assert!(count.abs_diff(1000) < 137, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn every_block_comes_exactly_once(seed: u64, plan in prop::collection::vec(0u32..9, 0..9)) {
            let blocks = interleave(seed, &plan);
            let distinct: HashSet<_> = blocks.iter().map(|b| (b.task, b.repetition)).collect();
            prop_assert_eq!(distinct.len(), blocks.len());
            prop_assert_eq!(blocks.len() as u32, plan.iter().sum::<u32>());
            prop_assert!(blocks.iter().all(|b| b.repetition < plan[b.task]));
        }

        #[test]
        fn a_seed_gives_one_order(seed: u64, plan in prop::collection::vec(0u32..9, 0..9)) {
            prop_assert_eq!(interleave(seed, &plan), interleave(seed, &plan));
        }

        #[test]
        fn repetitions_come_in_order_and_spread_evenly(seed: u64, plan in prop::collection::vec(1u32..9, 1..9)) {
            let blocks = interleave(seed, &plan);
            let rounds = plan.iter().copied().max().unwrap_or(0);
            prop_assert!(blocks.windows(2).all(|w| w[0].round <= w[1].round));
            let mut seen: HashMap<usize, u32> = HashMap::new();
            for block in &blocks {
                let count = seen.entry(block.task).or_default();
                prop_assert_eq!(*count, block.repetition);
                *count += 1;
                // Never more than one repetition ahead of or behind an even pace.
                let pace = f64::from(plan[block.task]) * f64::from(block.round + 1) / f64::from(rounds);
                prop_assert!((f64::from(*count) - pace).abs() <= 1.0, "{:?} at pace {}", block, pace);
            }
        }

        #[test]
        fn other_seeds_give_other_orders(seed: u64) {
            let plan = [4u32; 8];
            prop_assert_ne!(interleave(seed, &plan), interleave(seed.wrapping_add(1), &plan));
        }
    }
}
