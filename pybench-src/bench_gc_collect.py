"""Collects cyclic garbage."""

from pybench import benchmark

benchmark("bm_gc_collect", loops=50, see={"benchamark_collection": ("collected",)})
