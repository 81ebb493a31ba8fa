"""Writes what SciPy says of made-up samples; tests/scipy.rs holds ours against it.

    python3 -m venv venv && venv/bin/pip install scipy
    venv/bin/python crates/stats/tests/scipy_reference.py > crates/stats/tests/scipy_reference.json
"""
import json

import numpy
import scipy
from scipy import stats

CONFIDENCE = 0.95
OUR_RESAMPLES = 10_000
RESAMPLES = 400_000
# Standard deviations between two estimates of a probability that are taken for chance: once in 1.7 million.
CHANCE = 5.0

rng = numpy.random.default_rng(20261125)


def rounded(values):
    return [float(f"{value:.6g}") for value in values]


def fit(x, y):
    line = stats.linregress(x, y)
    t = stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 2)
    return {
        "x": x,
        "y": y,
        "slope": line.slope,
        "intercept": line.intercept,
        "slope_interval": [line.slope - t * line.stderr, line.slope + t * line.stderr],
        "intercept_interval": [
            line.intercept - t * line.intercept_stderr,
            line.intercept + t * line.intercept_stderr,
        ],
        "r_squared": line.rvalue**2,
    }


def brackets(distribution):
    """Between which values the ends of an interval from OUR_RESAMPLES lie. The end is the quantile p of the
    resamples, and the share of resamples below a value has the standard deviation sqrt(p (1 - p) / n), ours
    and SciPy's own."""
    found = []
    for p in [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]:
        off = CHANCE * (p * (1 - p) * (1 / OUR_RESAMPLES + 1 / RESAMPLES)) ** 0.5
        ends = numpy.quantile(distribution, [p - off, p + off], method="inverted_cdf")
        found.append([float(end) for end in ends])
    return found


def bootstrap(samples, statistic):
    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        method="percentile",
        confidence_level=CONFIDENCE,
        paired=False,
        batch=20_000,
        rng=rng,
    )
    return {
        "interval": [float(end) for end in result.confidence_interval],
        "brackets": brackets(result.bootstrap_distribution),
    }


def ratio(x, y, axis=-1):
    return numpy.median(x, axis=axis) / numpy.median(y, axis=axis)


def welch(numerator, denominator):
    logs = numpy.log(numerator), numpy.log(denominator)
    interval = stats.ttest_ind(*logs, equal_var=False).confidence_interval(CONFIDENCE)
    return {
        "numerator": numerator,
        "denominator": denominator,
        "ratio": float(numpy.exp(logs[0].mean() - logs[1].mean())),
        "interval": [float(numpy.exp(end)) for end in interval],
    }


def mean(sample):
    interval = stats.ttest_1samp(sample, 0).confidence_interval(CONFIDENCE)
    return {
        "sample": sample,
        "mean": float(numpy.mean(sample)),
        "interval": [float(end) for end in interval],
    }


def binomial(differing, comparisons):
    test = stats.binomtest(differing, comparisons, 1 - CONFIDENCE, alternative="greater")
    return {"differing": differing, "comparisons": comparisons, "p": test.pvalue}


workers = [50, 50, 100, 100, 200, 200, 400, 400]
fits = [
    fit([1.0, 2.0, 3.0], [2.0, 3.5, 6.1]),
    fit(workers, rounded(2.2e6 + 9800 * w + rng.normal(0, 2e4) for w in workers)),
    fit(rounded(rng.uniform(0, 1, 40)), rounded(rng.normal(0, 1, 40))),
    fit([2.0, 4.0, 8.0, 12.0], [31e6, 58e6, 113e6, 171e6]),
]
samples = [
    rounded(rng.lognormal(3, 0.3, 5)),
    rounded(rng.normal(100, 5, 12)),
    rounded(rng.exponential(1, 31)),
    rounded(rng.lognormal(9, 0.1, 200)),
]
pairs = [(samples[1], samples[2]), (samples[3], samples[0])]
ratios = [
    {"numerator": n, "denominator": d} | bootstrap((n, d), ratio) for n, d in pairs
]
reference = {
    "made_by": f"scipy_reference.py with SciPy {scipy.__version__}, NumPy {numpy.__version__}",
    "fits": fits,
    "ratios": ratios,
    "welch": [welch(n, d) for n, d in pairs[:1] + [(samples[2], samples[3])]],
    "means": [mean(s) for s in samples[1:]],
    "binomial": [binomial(*c) for c in [(1, 20), (9, 120), (19, 200), (31, 400)]],
}
# A case a line.
cases = {key: value for key, value in reference.items() if key != "made_by"}
lines = [f'{{"made_by": {json.dumps(reference["made_by"])}']
for key, values in cases.items():
    rows = ",\n  ".join(json.dumps(value) for value in values)
    lines.append(f'"{key}": [\n  {rows}]')
print(",\n".join(lines) + "}")
