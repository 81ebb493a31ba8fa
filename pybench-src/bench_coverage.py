"""A recursive function under the tracer of coverage."""

from pybench import benchmark

benchmark("bm_coverage")
