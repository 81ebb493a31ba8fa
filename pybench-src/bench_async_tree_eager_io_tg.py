"""A tree of eager coroutines in task groups, each leaf a sleep of 50 ms."""

from pybench import benchmark

benchmark("bm_async_tree", "eager_io", "--task-groups", counted=("AsyncTree.recurse_with_task_group", "AsyncTree.mock_io_call"))
