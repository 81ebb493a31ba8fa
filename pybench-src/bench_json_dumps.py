"""json.dumps of small and large values."""

import json

from pybench import benchmark

benchmark("bm_json_dumps", loops=2, result=lambda names: [json.dumps(names[case][0]) for case in names["CASES"]])
