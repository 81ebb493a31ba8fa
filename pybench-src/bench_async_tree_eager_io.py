"""A tree of eager coroutines, each leaf a sleep of 50 ms."""

from pybench import benchmark

benchmark("bm_async_tree", "eager_io", take=100_000)
