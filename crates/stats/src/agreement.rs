//! Whether what was estimated at several places is one value: Cochran's Q ("The Combination of Estimates from Different Experiments",
//! Biometrics 10, 1954).

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::levels::{Estimate, Unchecked};

/// Half an interval of 95 % in standard errors, as if it were a normal one's. Those by t are wider, so that the test rejects more rarely than it says.
const STANDARD_ERRORS: f64 = 1.96;

/// How estimates lie to one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Of the test that all estimate one value, on their logarithms.
    pub p_value: f64,
    /// The largest over the smallest.
    pub largest_over_smallest: f64,
}

/// Whether two or more positive `estimates` are of one value; `None` for fewer.
///
/// # Errors
/// One has no interval, or is not positive.
pub fn agreement(estimates: &[Estimate]) -> Result<Option<Agreement>, Unchecked> {
    if estimates.len() < 2 {
        return Ok(None);
    }
    let mut logs = Vec::with_capacity(estimates.len());
    for estimate in estimates {
        let interval = estimate.interval?;
        let error = (interval.hi.ln() - interval.lo.ln()) / (2.0 * STANDARD_ERRORS);
        let log = estimate.value.ln();
        if !(log.is_finite() && error.is_finite() && error > 0.0) {
            return Err(Unchecked::NotPositive);
        }
        logs.push((log, 1.0 / (error * error)));
    }
    let weight: f64 = logs.iter().map(|(_, w)| w).sum();
    let mean = logs.iter().map(|(log, w)| log * w).sum::<f64>() / weight;
    let q: f64 = logs.iter().map(|(log, w)| w * (log - mean).powi(2)).sum();
    let degrees = (logs.len() - 1) as f64;
    let p_value = ChiSquared::new(degrees).map_or(1.0, |chi| chi.sf(q));
    let (least, most) = logs
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), (log, _)| {
            (a.min(*log), b.max(*log))
        });
    Ok(Some(Agreement {
        p_value,
        largest_over_smallest: (most - least).exp(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interval;

    fn estimate(value: f64, part: f64) -> Estimate {
        Estimate {
            value,
            interval: Ok(Interval {
                lo: value / (1.0 + part),
                hi: value * (1.0 + part),
            }),
            processes: 10,
            starts: 100,
        }
    }

    #[test]
    fn what_is_the_same_is_not_told_apart_and_what_differs_is() {
        let same = agreement(&[estimate(10.0, 0.1), estimate(10.5, 0.1), estimate(9.8, 0.1)]);
        assert!(same.expect("intervals").expect("three").p_value > 0.3);
        let other = agreement(&[estimate(10.0, 0.05), estimate(20.0, 0.05)]);
        let other = other.expect("intervals").expect("two");
        assert!(other.p_value < 1e-6 && (other.largest_over_smallest - 2.0).abs() < 1e-9);
    }

    #[test]
    fn two_estimates_have_the_p_value_of_their_difference() {
        // One standard error of 0.1 each: their difference of 0.2 is 0.2/sqrt(0.02) = 1.414 of its own, p = 0.1573.
        let width = (0.1 * STANDARD_ERRORS).exp() - 1.0;
        let found = agreement(&[estimate(1.0, width), estimate(0.2_f64.exp(), width)]);
        let p = found.expect("intervals").expect("two").p_value;
        assert!((p - 0.157_299).abs() < 1e-4, "{p}");
    }

    #[test]
    fn one_alone_and_one_without_an_interval_are_no_agreement() {
        assert_eq!(agreement(&[estimate(1.0, 0.1)]), Ok(None));
        let few = Unchecked::TooFewProcesses {
            processes: 2,
            needed: 6,
        };
        let without = Estimate {
            interval: Err(few),
            ..estimate(1.0, 0.1)
        };
        assert_eq!(agreement(&[without, estimate(1.0, 0.1)]), Err(few));
    }
}
