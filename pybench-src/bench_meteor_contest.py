"""Solves the Meteor puzzle."""

from pybench import benchmark

benchmark("bm_meteor_contest")
