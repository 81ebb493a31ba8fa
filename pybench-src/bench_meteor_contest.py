"""Solves the Meteor puzzle."""

from pybench import benchmark

benchmark("bm_meteor_contest", take=100_000, see={"bench_meteor_contest": ("solutions",)})
