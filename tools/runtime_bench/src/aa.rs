//! `aa`: each rung measured as if it were two. What then "differs" shows how far intervals can be believed.
//!
//! A run of enough processes is cut into repetitions, in the order of time; in each, one of every two consecutive processes
//! goes to either side by the toss of a coin, so both sides see the same host.

use std::collections::BTreeMap;

use report::ratio as in_words;
use stats::aa::{LEVEL, RATE, binomial_test};
use stats::levels::{Levels, ratio};
use stats::schedule::SplitMix64;
use table::{Align, Table};

use crate::compare::{RowKey, Start};

/// How many comparisons of a repetition differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Comparisons with an interval.
    pub(crate) comparisons: u64,
    /// Of which the interval of the ratio does not hold 1.
    pub(crate) differing: u64,
}

/// What an A/A run shows.
#[derive(Debug)]
pub(crate) struct Outcome {
    repetitions: Vec<Tally>,
    /// By row: over all repetitions.
    rows: BTreeMap<RowKey, Tally>,
}

impl Outcome {
    /// Cuts the starts of each row into `repetitions` pairs of sides and compares them.
    pub(crate) fn from_rows(
        rows: &BTreeMap<RowKey, Vec<Start>>,
        repetitions: u32,
        seed: u64,
    ) -> Self {
        let mut outcome = Self {
            repetitions: vec![Tally::default(); repetitions as usize],
            rows: BTreeMap::new(),
        };
        for (key, starts) in rows {
            let of_row = outcome.rows.entry(key.clone()).or_default();
            let pairs = pairs_of_sides(starts, repetitions as usize, seed);
            for (tally, (one, other)) in outcome.repetitions.iter_mut().zip(pairs) {
                let Some(differs) = differ(&one, &other) else {
                    continue;
                };
                for tally in [tally, &mut *of_row] {
                    tally.comparisons += 1;
                    tally.differing += u64::from(differs);
                }
            }
        }
        outcome
    }

    /// Over all repetitions.
    pub(crate) fn total(&self) -> Tally {
        let sum = |field: fn(&Tally) -> u64| self.repetitions.iter().map(field).sum();
        Tally {
            comparisons: sum(|t| t.comparisons),
            differing: sum(|t| t.differing),
        }
    }

    /// How probable as many differences are by chance.
    pub(crate) fn p_value(&self) -> f64 {
        let Tally {
            comparisons,
            differing,
        } = self.total();
        binomial_test(differing, comparisons)
    }

    /// Whether chance is no longer believed.
    pub(crate) fn is_rejected(&self) -> bool {
        self.p_value() < LEVEL
    }

    /// In a sentence.
    pub(crate) fn in_words(&self) -> String {
        let Tally {
            comparisons,
            differing,
        } = self.total();
        format!(
            "A/A: {differing} of {comparisons} comparisons of a rung with itself differ; by chance {} would. At least as many come about by \
             chance with a probability of {}{}",
            in_words(RATE * comparisons as f64),
            in_words(self.p_value()),
            if comparisons < 200 {
                ", and 200 comparisons at least are asked for"
            } else {
                ""
            },
        )
    }

    /// By repetition and by row.
    pub(crate) fn markdown(&self) -> String {
        let mut by_repetition = Table::new(&[
            ("repetition", Align::Right),
            ("comparisons", Align::Right),
            ("differ", Align::Right),
        ]);
        for (number, tally) in (1..).zip(&self.repetitions) {
            by_repetition.row([
                i32::to_string(&number),
                tally.comparisons.to_string(),
                tally.differing.to_string(),
            ]);
        }
        let mut by_row = Table::new(&[
            ("runtime", Align::Left),
            ("design", Align::Left),
            ("comparisons", Align::Right),
            ("differ", Align::Right),
        ]);
        for (key, tally) in &self.rows {
            by_row.row([
                key.rung.clone(),
                key.design.to_string(),
                tally.comparisons.to_string(),
                tally.differing.to_string(),
            ]);
        }
        format!("{}\n{}", by_repetition.markdown(), by_row.markdown())
    }
}

/// The two sides of each repetition.
fn pairs_of_sides(
    starts: &[Start],
    repetitions: usize,
    seed: u64,
) -> Vec<(Vec<Start>, Vec<Start>)> {
    let mut by_process: BTreeMap<u32, Vec<Start>> = BTreeMap::new();
    for &start in starts {
        by_process.entry(start.0).or_default().push(start);
    }
    let processes: Vec<Vec<Start>> = by_process.into_values().collect();
    let pairs = processes.len() / 2 / repetitions.max(1);
    let mut random = SplitMix64::new(seed);
    processes
        .chunks_exact((2 * pairs).max(1))
        .take(repetitions)
        .map(|repetition| {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for pair in repetition.chunks_exact(2) {
                let heads = random.below(2) == 0;
                let (first, second) = if heads { (0, 1) } else { (1, 0) };
                one.extend_from_slice(&pair[first]);
                other.extend_from_slice(&pair[second]);
            }
            (one, other)
        })
        .collect()
}

/// Whether the interval of the ratio does not hold 1; `None` where there is none.
fn differ(one: &[Start], other: &[Start]) -> Option<bool> {
    let levels = |starts: &[Start]| Levels::from_observations(starts.iter().copied());
    let interval = ratio(&levels(one)?, &levels(other)?)?.interval.ok()?;
    Some(!interval.contains(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::Design;

    fn rows(
        processes: u32,
        ns: impl Fn(u32, &mut SplitMix64) -> f64,
    ) -> BTreeMap<RowKey, Vec<Start>> {
        let mut random = SplitMix64::new(3);
        let of_row = |row: usize, random: &mut SplitMix64| {
            let key = RowKey {
                rung: format!("rung-{row}"),
                function: "demo/noop".into(),
                design: Design::Isolated,
            };
            let starts = (1..=processes).map(|process| (process, 1, ns(process, random)));
            (key, starts.collect())
        };
        (0..20).map(|row| of_row(row, &mut random)).collect()
    }

    fn noise(random: &mut SplitMix64) -> f64 {
        // Sum of uniforms: near enough to normal.
        (0..4).map(|_| random.below(1000) as f64).sum()
    }

    #[test]
    fn equal_sides_differ_in_about_one_of_twenty() {
        let rows = rows(2 * 8 * 20, |_, random| 10_000.0 + noise(random));
        let outcome = Outcome::from_rows(&rows, 20, 5);
        let total = outcome.total();
        assert_eq!(total.comparisons, 400);
        // Binomial(400, 0.05): mean 20, standard deviation 4.4.
        assert!((5..40).contains(&total.differing), "{total:?}");
        assert!(!outcome.is_rejected());
        assert!(outcome.in_words().contains("of 400 comparisons"));
    }

    #[test]
    fn sides_that_differ_too_often_are_rejected() {
        let outcome = |differing| Outcome {
            repetitions: vec![
                Tally {
                    comparisons: 20,
                    differing,
                };
                10
            ],
            rows: BTreeMap::new(),
        };
        assert!(!outcome(1).is_rejected(), "{}", outcome(1).in_words());
        assert!(outcome(2).is_rejected(), "{}", outcome(2).in_words());
    }

    #[test]
    fn sides_are_disjoint_and_as_many_on_either() {
        let starts: Vec<Start> = (1..=41).map(|process| (process, 0, 1.0)).collect();
        let pairs = pairs_of_sides(&starts, 3, 9);
        assert_eq!(pairs.len(), 3);
        let mut seen: Vec<u32> = Vec::new();
        for (one, other) in &pairs {
            assert_eq!((one.len(), other.len()), (6, 6));
            seen.extend(one.iter().chain(other).map(|start| start.0));
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=36).collect::<Vec<_>>());
        assert!(
            pairs_of_sides(&starts[..3], 3, 9)
                .iter()
                .all(|(one, _)| one.is_empty())
        );
    }
}
