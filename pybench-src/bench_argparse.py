"""Parses command lines with many options."""

from pybench import benchmark

benchmark("bm_argparse", "many_optionals", loops=40, library=("argparse.py",))
