//! A/A: the same thing measured as if it were two should "differ" in one of twenty comparisons, not more.

use statrs::distribution::{Binomial, DiscreteCDF};

/// The share of comparisons that differ by chance where intervals have [`crate::CONFIDENCE`].
pub const RATE: f64 = 1.0 - crate::CONFIDENCE;

/// Below this probability chance is no longer believed.
pub const LEVEL: f64 = 0.01;

/// How probable at least `differing` of `comparisons` are if each differs with [`RATE`] (one-sided exact binomial
/// test); below [`LEVEL`] the intervals are too narrow.
#[must_use]
pub fn binomial_test(differing: u64, comparisons: u64) -> f64 {
    if differing == 0 {
        return 1.0;
    }
    // No binomial distribution has a rate out of 0 to 1, and this one is not.
    Binomial::new(RATE, comparisons).map_or(1.0, |binomial| binomial.sf(differing - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against sums of the terms by hand: of 2, none .9025, one .095, two .0025.
    #[test]
    fn tails_are_sums_of_binomial_terms() {
        for (k, p) in [(0, 1.0), (1, 0.0975), (2, 0.0025), (3, 0.0)] {
            assert!((binomial_test(k, 2) - p).abs() < 1e-12, "{k}");
        }
        assert!((binomial_test(0, 0) - 1.0).abs() < 1e-12);
        // The bound for 200 comparisons.
        assert!(binomial_test(18, 200) > LEVEL && binomial_test(19, 200) < LEVEL);
    }
}
