"""Lists, globs and stats two thousand files."""

from pybench import benchmark

benchmark("bm_pathlib")
