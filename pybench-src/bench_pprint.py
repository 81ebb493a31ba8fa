"""Pretty-prints nested lists."""

from pybench import benchmark

benchmark("bm_pprint")
