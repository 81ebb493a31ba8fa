"""A tree of eager coroutines in task groups, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "eager", "--task-groups", take=100_000)
