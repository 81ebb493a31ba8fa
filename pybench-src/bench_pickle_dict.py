"""Pickles a big dict in C."""

from pybench import benchmark

benchmark("bm_pickle", "pickle_dict")
