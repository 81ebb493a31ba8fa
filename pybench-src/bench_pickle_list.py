"""Pickles a big list in C."""

from pybench import benchmark

benchmark("bm_pickle", "pickle_list")
