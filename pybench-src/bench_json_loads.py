"""json.loads of a dict and lists."""

import json

from pybench import benchmark

benchmark("bm_json_loads", loops=60, result=lambda names: [json.loads(json.dumps(names[name])) for name in ("DICT", "TUPLE", "DICT_GROUP")])
