"""Unpickles a big list in C."""

import pickle

from pybench import benchmark

benchmark("bm_pickle", "unpickle_list", loops=1000, result=lambda names: [pickle.loads(pickle.dumps(names[name], 5)) for name in ("LIST",)])
