"""A tree of coroutines in task groups, each leaf a factorial or a sleep."""

from pybench import benchmark

benchmark("bm_async_tree", "cpu_io_mixed", "--task-groups", take=100_000)
