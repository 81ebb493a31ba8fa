"""Parses a large TOML file in Python."""

from pybench import benchmark

benchmark("bm_tomli_loads")
