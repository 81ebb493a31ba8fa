"""Translates SQL between dialects (sqlglot_v2_transpile of the suite)."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "transpile", loops=10)
