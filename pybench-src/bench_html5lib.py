"""Parses the HTML 5 specification."""

from pybench import benchmark

benchmark("bm_html5lib")
