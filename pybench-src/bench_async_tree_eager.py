"""A tree of eager coroutines, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "eager", counted=("AsyncTree.recurse_with_gather", "NoneAsyncTree.workload_func"))
