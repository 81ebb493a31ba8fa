"""N bodies in a quadtree."""

from pybench import benchmark

benchmark("bm_barnes_hut")
