"""Expands, integrates, sums and prints formulas."""

import _distutils_hack

from pybench import benchmark

# SymPy asks for distutils, which this CPython no longer has and setuptools brings.
_distutils_hack.add_shim()

benchmark("bm_sympy", watch=False, result=lambda names: [str(names["bench_" + part]()) for part in ("expand", "integrate", "sum", "str")])
