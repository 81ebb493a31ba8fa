"""Renders a table with the Chameleon template engine."""

from pybench import benchmark

benchmark("bm_chameleon", loops=2)
