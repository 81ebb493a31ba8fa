"""AES in counter mode in Python."""

from pybench import benchmark

benchmark("bm_crypto_pyaes")
