"""The k-core of a graph."""

from pybench import benchmark

benchmark("bm_networkx", "k_core", ignore=("argmap.assemble", "FilterAdjacency.__getitem__.<locals>.new_node_ok",))
