"""Translates SQL between dialects."""

from pybench import benchmark

benchmark("bm_sqlglot_v2", "transpile", loops=10)
