"""Renders a table with the Mako template engine."""

from pybench import benchmark

benchmark("bm_mako", loops=2)
