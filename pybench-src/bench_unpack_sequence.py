"""Unpacks tuples and lists into variables."""

from pybench import benchmark

benchmark("bm_unpack_sequence", loops=3000)
