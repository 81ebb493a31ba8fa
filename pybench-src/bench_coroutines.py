"""Recursive coroutines, driven by hand."""

from pybench import benchmark

benchmark("bm_coroutines")
