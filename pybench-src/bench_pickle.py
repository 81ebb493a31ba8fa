"""Pickles dicts and tuples in C."""

from pybench import benchmark

benchmark("bm_pickle", "pickle")
