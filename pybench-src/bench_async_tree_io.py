"""A tree of coroutines, each leaf a sleep of 50 ms."""

from pybench import benchmark

benchmark("bm_async_tree", "io", counted=("AsyncTree.recurse_with_gather", "AsyncTree.mock_io_call"))
