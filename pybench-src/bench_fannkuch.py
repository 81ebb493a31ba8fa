"""Permutations of a small list."""

from pybench import benchmark

benchmark("bm_fannkuch")
