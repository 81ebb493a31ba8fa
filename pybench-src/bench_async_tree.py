"""A tree of coroutines, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "none", take=100_000)
