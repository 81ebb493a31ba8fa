"""Unpickles dicts and tuples in Python."""

from pybench import benchmark

benchmark("bm_pickle", "--pure-python", "unpickle", loops=10)
