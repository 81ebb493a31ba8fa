"""The same, its methods calling those of a base class."""

from pybench import benchmark

benchmark("bm_richards_super")
