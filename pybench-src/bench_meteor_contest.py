"""Solves the Meteor puzzle."""

from pybench import benchmark

benchmark("bm_meteor_contest", counted=("solve",), see={"bench_meteor_contest": ("solutions",)})
