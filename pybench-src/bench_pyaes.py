"""AES in counter mode in Python (crypto_pyaes of the suite)."""

from pybench import benchmark

benchmark("bm_crypto_pyaes")
