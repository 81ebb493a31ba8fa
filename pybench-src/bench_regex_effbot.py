"""Searches long strings that nearly match."""

from pybench import benchmark

benchmark("bm_regex_effbot")
