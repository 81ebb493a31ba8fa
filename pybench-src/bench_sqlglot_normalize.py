"""Normalises an SQL expression (sqlglot_v2 of the suite)."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "normalize")
