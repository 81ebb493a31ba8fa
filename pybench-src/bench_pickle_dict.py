"""Pickles a big dict in C."""

import pickle

from pybench import benchmark

benchmark("bm_pickle", "pickle_dict", loops=300, result=lambda names: [pickle.dumps(names[name], 5) for name in ("MICRO_DICT",)])
