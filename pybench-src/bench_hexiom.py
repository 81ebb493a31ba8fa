"""Solves a Hexiom puzzle."""

from pybench import benchmark

benchmark("bm_hexiom", loops=4)
