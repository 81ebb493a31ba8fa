"""The spectral norm of a matrix."""

from pybench import benchmark

benchmark("bm_spectral_norm")
