"""Shortest paths in a graph."""

from pybench import benchmark

benchmark("bm_networkx", "shortest_path", ignore=("argmap.assemble",))
