"""The k-core of a graph."""

from pybench import benchmark

# Those with `iter` and `copy` follow the order of sets.
benchmark(
    "bm_networkx",
    "k_core",
    ignore=(
        "argmap.assemble",
        "FilterAdjacency.__getitem__.<locals>.new_node_ok",
        "FilterAdjacency.__iter__.<locals>.<genexpr>",
        "FilterAtlas.__iter__.<locals>.<genexpr>",
        "Graph.copy.<locals>.<genexpr>",
    ),
)
