"""Decompresses a bzip2 archive in Python."""

from pybench import benchmark

benchmark("bm_pyflate")
