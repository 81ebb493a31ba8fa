"""Renders a table with the Django template engine."""

import _distutils_hack

from pybench import benchmark

# Django asks for distutils, which this CPython no longer has and setuptools brings.
_distutils_hack.add_shim()

benchmark("bm_django_template")
