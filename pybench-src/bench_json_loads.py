"""Json.loads of a dict and lists."""

from pybench import benchmark

benchmark("bm_json_loads")
