"""A tree of eager coroutines, each leaf a factorial or a sleep."""

from pybench import benchmark

benchmark("bm_async_tree", "eager_cpu_io_mixed", take=100_000)
