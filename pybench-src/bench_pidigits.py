"""Digits of pi with big integers."""

from pybench import benchmark

benchmark("bm_pidigits")
