//! When arrivals are due: drawn beforehand, from a seed.

use std::fmt;
use std::str::FromStr;

use measure_core::contract::open_loop::MAX_ARRIVALS;
use stats::schedule::SplitMix64;

/// How arrivals follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Independent of one another: gaps drawn from the exponential distribution.
    Poisson,
    /// The same gap between any two.
    Constant,
    /// So many at once, and the same gap between any two such moments.
    Bursts(u32),
}

/// Most arrivals of a burst.
const MAX_BURST: u32 = 100_000;

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPattern {
    /// Of the size of bursts.
    #[error("bursts:{0}: N is 1 to {MAX_BURST}")]
    Burst(String),
    /// None of the names.
    #[error("`{0}` is none of poisson, constant, bursts:N (N arrivals at once)")]
    Unknown(String),
}

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        match text.split_once(':') {
            None if text == "poisson" => Ok(Self::Poisson),
            None if text == "constant" => Ok(Self::Constant),
            Some(("bursts", size)) => match size.parse() {
                Ok(size @ 1..=MAX_BURST) => Ok(Self::Bursts(size)),
                _ => Err(NoPattern::Burst(size.to_owned())),
            },
            _ => Err(NoPattern::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poisson => f.pad("poisson"),
            Self::Constant => f.pad("constant"),
            Self::Bursts(size) => write!(f, "bursts of {size}"),
        }
    }
}

/// When arrivals at `per_s` a second are due within `duration_ns`, from its beginning, in rising order: at least one, and at most as many as
/// a loop can have.
#[must_use]
pub fn draw(pattern: Pattern, per_s: f64, duration_ns: u64, seed: u64) -> Vec<u64> {
    let mut random = SplitMix64::new(seed);
    let mean_ns = 1e9 / per_s;
    let mut gap_ns = || match pattern {
        Pattern::Poisson => -(1.0 - unit(&mut random)).ln() * mean_ns,
        Pattern::Constant => mean_ns,
        Pattern::Bursts(size) => mean_ns * f64::from(size),
    };
    let at_once = match pattern {
        Pattern::Bursts(size) => size as usize,
        Pattern::Poisson | Pattern::Constant => 1,
    };
    // Regular ones begin half a gap in, so that as many fit as the rate says.
    let mut at_ns = match pattern {
        Pattern::Poisson => gap_ns(),
        Pattern::Constant | Pattern::Bursts(_) => gap_ns() / 2.0,
    };
    let mut offsets = Vec::new();
    while at_ns < duration_ns as f64 && offsets.len() < MAX_ARRIVALS {
        let left = MAX_ARRIVALS - offsets.len();
        offsets.extend(std::iter::repeat_n(at_ns as u64, at_once.min(left)));
        at_ns += gap_ns();
    }
    if offsets.is_empty() {
        offsets.push(duration_ns / 2);
    }
    offsets
}

/// At least 0 and below 1: 53 bits, as many as a number holds.
fn unit(random: &mut SplitMix64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn patterns_are_read_as_the_help_says() {
        assert_eq!("poisson".parse(), Ok(Pattern::Poisson));
        assert_eq!("constant".parse(), Ok(Pattern::Constant));
        assert_eq!("bursts:8".parse(), Ok(Pattern::Bursts(8)));
        for bad in ["bursts:0", "bursts", "uniform", "bursts:x", ""] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn constant_and_bursts_come_as_often_as_the_rate_says() {
        let constant = draw(Pattern::Constant, 1000.0, SECOND, 1);
        assert_eq!(constant.len(), 1000);
        assert_eq!((constant[0], constant[1]), (500_000, 1_500_000));
        let bursts = draw(Pattern::Bursts(10), 1000.0, SECOND, 1);
        assert_eq!(bursts.len(), 1000);
        assert!(bursts[..10].iter().all(|&at| at == bursts[0]) && bursts[10] > bursts[0]);
    }

    #[test]
    fn poisson_arrivals_are_as_many_and_as_far_apart_as_they_should_be() {
        let mut squares = 0.0;
        let mut all = 0.0;
        for seed in 0..20 {
            let offsets = draw(Pattern::Poisson, 1000.0, 10 * SECOND, seed);
            // Poisson of mean 10 000: standard deviation 100; six of them.
            assert!(offsets.len().abs_diff(10_000) < 600, "{}", offsets.len());
            for pair in offsets.windows(2) {
                squares += ((pair[1] - pair[0]) as f64 / 1e6).powi(2);
                all += 1.0;
            }
        }
        // The mean square of an exponential gap of mean 1 is 2, with a standard deviation of sqrt(20 / n).
        assert!(
            (squares / all - 2.0).abs() < 6.0 * (20.0_f64 / all).sqrt(),
            "{}",
            squares / all
        );
    }

    #[test]
    fn a_rate_below_one_in_all_the_time_gives_one() {
        assert_eq!(draw(Pattern::Constant, 0.1, SECOND, 1), [SECOND / 2]);
    }

    proptest! {
        #[test]
        fn arrivals_are_in_order_and_in_time_and_repeat_by_seed(
            per_s in 0.1..1e5_f64, duration in 1..SECOND, seed: u64, which in 0..3_usize
        ) {
            let pattern = [Pattern::Poisson, Pattern::Constant, Pattern::Bursts(7)][which];
            let offsets = draw(pattern, per_s, duration, seed);
            prop_assert!(!offsets.is_empty());
            prop_assert!(offsets.windows(2).all(|w| w[0] <= w[1]));
            prop_assert!(offsets.iter().all(|&at| at <= duration));
            prop_assert_eq!(draw(pattern, per_s, duration, seed), offsets);
        }
    }
}
