"""Fractals by the chaos game, with splines."""

from pybench import benchmark

benchmark("bm_chaos")
