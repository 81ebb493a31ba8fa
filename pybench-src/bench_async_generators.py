"""A binary tree walked by asynchronous generators."""

from pybench import benchmark

benchmark("bm_async_generators")
