"""Connected components of a graph."""

from pybench import benchmark

benchmark("bm_networkx", "connected_components", ignore=("argmap.assemble",))
