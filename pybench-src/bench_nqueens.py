"""Eight queens by brute force."""

from pybench import benchmark

benchmark("bm_nqueens")
