"""Prices of phone calls in decimal arithmetic."""

from pybench import benchmark

benchmark("bm_telco", loops=4, see={"bench_telco": ("sumT", "sumB", "sumD")})
