"""A tree of eager coroutines, each leaf a sleep of 50 ms."""

from pybench import benchmark

benchmark("bm_async_tree", "eager_io", counted=("AsyncTree.recurse_with_gather", "AsyncTree.mock_io_call"))
