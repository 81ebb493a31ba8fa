"""Digits of pi in decimal arithmetic."""

from pybench import benchmark

benchmark("bm_decimal_pi")
