"""Renders a table with the Genshi template engine, text and XML."""

from pybench import benchmark

benchmark("bm_genshi", ignore=("flatten",))
