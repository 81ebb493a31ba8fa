"""A binary tree walked by asynchronous generators."""

from pybench import benchmark

benchmark("bm_async_generators", see={"bench_async_generators": ("_",)})
