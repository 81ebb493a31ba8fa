"""Builds a part of the documentation of Python."""

from pybench import benchmark

benchmark("bm_sphinx")
