"""Parses SQL."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "parse", loops=30)
