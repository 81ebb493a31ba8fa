"""Normalises an SQL expression."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "normalize")
