"""Renders its own documentation to HTML."""

from pybench import benchmark

benchmark("bm_docutils")
