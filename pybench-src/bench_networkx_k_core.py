"""The k-core of a graph."""

from pybench import benchmark

benchmark("bm_networkx", "k_core")
