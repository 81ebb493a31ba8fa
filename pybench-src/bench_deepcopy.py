"""Copies nested structures and objects."""

from pybench import benchmark

benchmark("bm_deepcopy", loops=60, library=("copy.py",))
