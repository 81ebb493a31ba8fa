//! Fits, t and bootstrap intervals, and tests held against SciPy's, which `scipy_reference.py` stored beside this file.

use serde::Deserialize;
use stats::levels::{Estimate, Levels, mean_by_process, ratio};
use stats::{Interval, aa, linear_fit, median_ratio};

#[derive(Deserialize)]
struct Reference {
    fits: Vec<Fit>,
    ratios: Vec<Ratio>,
    welch: Vec<Welch>,
    means: Vec<Mean>,
    binomial: Vec<Binomial>,
}

#[derive(Deserialize)]
struct Fit {
    x: Vec<f64>,
    y: Vec<f64>,
    slope: f64,
    intercept: f64,
    slope_interval: [f64; 2],
    intercept_interval: [f64; 2],
    r_squared: f64,
}

#[derive(Deserialize)]
struct Ratio {
    numerator: Vec<f64>,
    denominator: Vec<f64>,
    #[serde(flatten)]
    bootstrap: Bootstrap,
}

#[derive(Deserialize)]
struct Welch {
    numerator: Vec<f64>,
    denominator: Vec<f64>,
    ratio: f64,
    interval: [f64; 2],
}

#[derive(Deserialize)]
struct Mean {
    sample: Vec<f64>,
    mean: f64,
    interval: [f64; 2],
}

#[derive(Deserialize)]
struct Binomial {
    differing: u64,
    comparisons: u64,
    p: f64,
}

/// SciPy's interval, and between which values chance leaves each end of ours: five standard deviations of the
/// share of resamples that lie below it (the script derives it).
#[derive(Deserialize)]
struct Bootstrap {
    interval: [f64; 2],
    brackets: [[f64; 2]; 2],
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("scipy_reference.json")).expect("the stored results")
}

fn same(ours: f64, scipy: f64, what: &str) {
    let off = (ours - scipy).abs();
    assert!(
        off <= 1e-9 * scipy.abs().max(1.0),
        "{what}: {ours}, SciPy has {scipy}"
    );
}

#[test]
fn a_fit_and_its_intervals_are_scipys() {
    let fits = reference().fits;
    assert_eq!(fits.len(), 4);
    for fit in fits {
        let points: Vec<(f64, f64)> = fit.x.into_iter().zip(fit.y).collect();
        let ours = linear_fit(&points).expect("a line");
        same(ours.slope, fit.slope, "slope");
        same(ours.intercept, fit.intercept, "intercept");
        same(
            ours.r_squared.expect("y varies"),
            fit.r_squared,
            "R squared",
        );
        for (interval, scipy) in [
            (ours.slope_interval, fit.slope_interval),
            (ours.intercept_interval, fit.intercept_interval),
        ] {
            let interval = interval.expect("three points or more");
            same(interval.lo, scipy[0], "lower end");
            same(interval.hi, scipy[1], "upper end");
        }
    }
}

fn within(interval: Interval, scipy: &Bootstrap) {
    // What rounding does to a mean of two values or to a quotient.
    let slack = 1e-12 * scipy.interval[1].abs();
    for (end, [least, most]) in [interval.lo, interval.hi].into_iter().zip(scipy.brackets) {
        assert!(
            (least - slack..=most + slack).contains(&end),
            "{interval:?}, SciPy has {:?} and chance allows {:?}",
            scipy.interval,
            scipy.brackets
        );
    }
}

#[test]
fn bootstrap_intervals_differ_from_scipys_by_chance_alone() {
    let ratios = reference().ratios;
    assert_eq!(ratios.len(), 2);
    for seed in 1..=5 {
        for case in &ratios {
            let ours = median_ratio(&case.numerator, &case.denominator, seed).expect("a ratio");
            within(ours.interval.expect("enough values"), &case.bootstrap);
        }
    }
}

fn same_estimate(ours: &Estimate, value: f64, interval: [f64; 2]) {
    same(ours.value, value, "value");
    let found = ours.interval.expect("enough processes");
    same(found.lo, interval[0], "lower end");
    same(found.hi, interval[1], "upper end");
}

#[test]
fn intervals_by_process_and_the_test_of_a_a_are_scipys() {
    let Reference {
        welch,
        means,
        binomial,
        ..
    } = reference();
    assert_eq!((welch.len(), means.len(), binomial.len()), (2, 3, 4));
    for case in welch {
        let one_each = |values: &[f64]| Levels::one_per_process(values).expect("values");
        let ours = ratio(&one_each(&case.numerator), &one_each(&case.denominator));
        same_estimate(&ours.expect("positive"), case.ratio, case.interval);
    }
    for case in means {
        let ours = mean_by_process(&case.sample, 3 * case.sample.len()).expect("values");
        same(ours.value, case.mean, "mean");
        // One end is that of t, the other, to which the values are skewed, reaches further.
        let [lo, hi] = case.interval;
        let interval = ours.interval.expect("enough processes");
        let slack = 1e-9 * hi.abs();
        assert!(interval.lo <= lo + slack && interval.hi >= hi - slack);
        let off = (interval.lo - lo).abs().min((interval.hi - hi).abs());
        assert!(off <= slack, "{interval:?} and SciPy's {lo}..{hi}");
    }
    for case in binomial {
        let ours = aa::binomial_test(case.differing, case.comparisons);
        same(ours, case.p, "p-value");
    }
}
