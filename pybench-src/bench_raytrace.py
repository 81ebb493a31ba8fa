"""A small ray tracer."""

from pybench import benchmark

benchmark("bm_raytrace")
