"""Builds and runs parsers with sub-commands."""

from pybench import benchmark

benchmark("bm_argparse", "subparsers", library=("argparse.py",))
