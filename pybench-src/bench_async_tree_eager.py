"""A tree of eager coroutines, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "eager", take=100_000)
