"""Walks all commits of a Git repository on disk (dulwich_log of the suite)."""

from pybench import benchmark

benchmark("bm_dulwich_log", ignore=("_load_file_contents",))
