"""Points in space: floating point and attributes."""

from pybench import benchmark

benchmark("bm_float")
