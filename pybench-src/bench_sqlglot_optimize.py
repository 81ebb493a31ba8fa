"""Optimises the queries of TPC-H."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "optimize")
