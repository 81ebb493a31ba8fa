"""A tree of eager coroutines, each leaf a sleep, nine of ten times remembered."""

from pybench import benchmark

benchmark("bm_async_tree", "eager_memoization", take=100_000)
