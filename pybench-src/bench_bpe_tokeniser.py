"""Trains and runs a byte-pair tokeniser."""

from pybench import benchmark

benchmark("bm_bpe_tokeniser")
