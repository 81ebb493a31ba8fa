"""Expressions from web pages."""

from pybench import benchmark

benchmark("bm_regex_v8")
