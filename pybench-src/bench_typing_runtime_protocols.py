"""Isinstance against runtime protocols."""

from pybench import benchmark

benchmark("bm_typing_runtime_protocols", loops=100, library=("typing.py",))
