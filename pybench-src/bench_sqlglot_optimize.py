"""Optimises the queries of TPC-H (sqlglot_v2_optimize of the suite)."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "optimize")
