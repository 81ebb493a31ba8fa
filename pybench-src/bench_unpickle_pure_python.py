"""Unpickles dicts and tuples in Python."""

import sys

from pybench import benchmark

# It makes numbers of this size up: the same on both sides.
sys.maxsize = (1 << 31) - 1
benchmark("bm_pickle", "--pure-python", "unpickle", loops=10, library=("pickle.py",))
