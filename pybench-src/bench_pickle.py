"""Pickles dicts and tuples in C."""

import pickle

from pybench import benchmark

benchmark("bm_pickle", "pickle", loops=100, result=lambda names: [pickle.dumps(names[name], 5) for name in ("DICT", "TUPLE", "DICT_GROUP",)])
