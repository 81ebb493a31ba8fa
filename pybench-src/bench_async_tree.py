"""A tree of coroutines, each leaf nothing."""

from pybench import benchmark

benchmark("bm_async_tree", "none", counted=("AsyncTree.recurse_with_gather", "NoneAsyncTree.workload_func"))
