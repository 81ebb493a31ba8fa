"""Compiles the expressions of two other benchmarks."""

from pybench import benchmark

benchmark("bm_regex_compile")
