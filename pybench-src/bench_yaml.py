"""Loads YAML in Python."""

from pybench import benchmark

benchmark("bm_yaml", loops=6)
