"""Formatted, simple and silent log calls."""

from pybench import benchmark

benchmark("bm_logging", loops=200, library=("logging/__init__.py",))
