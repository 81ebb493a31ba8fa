"""Matches and replaces in a DNA sequence."""

from pybench import benchmark

benchmark("bm_regex_dna")
