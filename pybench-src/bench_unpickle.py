"""Unpickles dicts and tuples in C."""

import pickle

from pybench import benchmark

benchmark("bm_pickle", "unpickle", loops=100, result=lambda names: [pickle.loads(pickle.dumps(names[name], 5)) for name in ("DICT", "TUPLE", "DICT_GROUP",)])
