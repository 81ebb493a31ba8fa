"""Json.dumps of small and large values."""

from pybench import benchmark

benchmark("bm_json_dumps")
