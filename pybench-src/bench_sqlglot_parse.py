"""Parses SQL (sqlglot_v2_parse of the suite)."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "parse", loops=30)
