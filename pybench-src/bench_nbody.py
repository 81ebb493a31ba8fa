"""Planets by Newton."""

from pybench import benchmark

benchmark("bm_nbody")
