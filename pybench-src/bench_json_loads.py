"""json.loads of a dict and lists."""

import json
import sys

from pybench import benchmark

# It makes numbers of this size up: the same on both sides.
sys.maxsize = (1 << 31) - 1
benchmark("bm_json_loads", loops=60, result=lambda names: repr([json.loads(json.dumps(names[name])) for name in ("DICT", "TUPLE", "DICT_GROUP")]))
