"""Writes where Apache Otava finds changes in made-up series of runs; tests/otava.rs holds ours against it.

    python3 -m venv venv && venv/bin/pip install apache-otava
    venv/bin/python crates/stats/tests/otava_reference.py > crates/stats/tests/otava_reference.json

Two forms of it: `hunter` is its own (E-divisive with Student's t instead of permutations, in windows), `original` is
Matteson and James's with its 100 permutations.
"""
import json
from importlib import metadata

import numpy
from otava.analysis import compute_change_points, compute_change_points_orig

WINDOW = 50
P_VALUE = 0.001
MARGIN = 0.03
SERIES_WITHOUT_CHANGE = 150
# At which these are tested.
LEVEL = 0.05

rng = numpy.random.default_rng(20261130)


def series(count, spread, steps):
    """Log-normal values around 100 which each of `steps`, a place and a factor, changes from there on."""
    level = numpy.full(count, 100.0)
    for place, factor in steps:
        level[place:] *= factor
    values = level * numpy.exp(rng.normal(0.0, spread, count))
    return [float(f"{value:.5g}") for value in values]


def places(found):
    return [int(point.index) for point in found[0]]


def case(name, values, steps, p_value=P_VALUE, margin=MARGIN):
    # With 100 permutations no p-value is below 0.0099.
    of_permutations = max(p_value, 0.02)
    return {
        "name": name,
        "values": values,
        "steps": [place for place, _ in steps],
        "hunter": places(compute_change_points(values, WINDOW, p_value, margin)),
        "original": places(compute_change_points_orig(values, max_pvalue=of_permutations, seed=1)),
    }


def changed():
    for count, spread, steps in [
        (40, 0.01, [(20, 1.1)]),
        (40, 0.01, [(12, 1.05)]),
        (40, 0.02, [(30, 0.9)]),
        (60, 0.02, [(20, 1.15), (40, 1.0 / 1.15)]),
        (60, 0.01, [(30, 1.3), (45, 0.9)]),
        (100, 0.03, [(50, 1.2)]),
        (100, 0.02, [(25, 1.1), (50, 1.1), (75, 0.8)]),
        (200, 0.03, [(120, 1.1)]),
        (200, 0.02, [(40, 0.85), (160, 1.2)]),
    ]:
        yield case(f"{count} runs, spread {spread}, steps {steps}", series(count, spread, steps), steps)


def alone():
    """One run that is off is no change."""
    values = series(40, 0.01, [])
    values[17] *= 1.5
    return case("one of 40 runs is off by half", values, [])


print(
    json.dumps(
        {
            "otava": metadata.version("apache-otava"),
            "margin": MARGIN,
            "p_value": P_VALUE,
            "level": LEVEL,
            "changed": list(changed()),
            "alone": alone(),
            "unchanged": [
                case("unchanged", series(30, 0.03, []), [], LEVEL, 0.0)
                for _ in range(SERIES_WITHOUT_CHANGE)
            ],
        },
        separators=(",", ":"),
    )
)
