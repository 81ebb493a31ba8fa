"""A collection that finds nothing in a deep structure."""

from pybench import benchmark

benchmark("bm_gc_traversal", loops=7)
