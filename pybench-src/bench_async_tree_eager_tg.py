"""A tree of eager coroutines in task groups, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "eager", "--task-groups", counted=("AsyncTree.recurse_with_task_group", "NoneAsyncTree.workload_func"))
