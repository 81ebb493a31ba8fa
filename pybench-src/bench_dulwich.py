"""Walks all commits of a Git repository on disk."""

from pybench import benchmark

benchmark("bm_dulwich_log", ignore=("_load_file_contents",))
