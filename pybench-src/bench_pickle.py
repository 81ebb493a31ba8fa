"""Pickles dicts and tuples in C."""

import pickle
import sys

from pybench import benchmark

# It makes numbers of this size up: the same on both sides.
sys.maxsize = (1 << 31) - 1
benchmark("bm_pickle", "pickle", loops=100, result=lambda names: [pickle.dumps(names[name], 5) for name in ("DICT", "TUPLE", "DICT_GROUP")])
