"""A binary tree walked by generators."""

from pybench import benchmark

benchmark("bm_generators", see={"bench_generators": ("_",)})
