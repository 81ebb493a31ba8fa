"""lib2to3 converts Python 2 programs."""

import os
import sys

from pybench import benchmark, suite

# CPython no longer has it; the suite brings a copy.
sys.path.append(os.path.join(suite(), "bm_2to3", "vendor", "src"))
benchmark("bm_2to3")
