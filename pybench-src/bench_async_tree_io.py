"""A tree of coroutines, each leaf a sleep of 50 ms."""

from pybench import benchmark

benchmark("bm_async_tree", "io", take=100_000)
