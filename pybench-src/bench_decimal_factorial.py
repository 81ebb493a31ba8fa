"""Factorials in decimal arithmetic of great precision."""

from pybench import benchmark

benchmark("bm_decimal_factorial")
