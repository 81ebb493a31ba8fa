"""Plays Go at random against itself."""

from pybench import benchmark

benchmark("bm_go")
