"""A tree of coroutines in task groups, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "none", "--task-groups", take=100_000)
