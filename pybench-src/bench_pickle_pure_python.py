"""Pickles dicts and tuples in Python."""

from pybench import benchmark

benchmark("bm_pickle", "--pure-python", "pickle", loops=7)
