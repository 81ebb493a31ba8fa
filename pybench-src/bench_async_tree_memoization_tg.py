"""A tree of coroutines in task groups, each leaf a sleep, nine of ten times remembered."""

from pybench import benchmark

benchmark("bm_async_tree", "memoization", "--task-groups", take=100_000)
