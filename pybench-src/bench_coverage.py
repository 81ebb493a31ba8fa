"""A recursive function under the tracer of coverage."""

from pybench import benchmark

benchmark("bm_coverage", ignore=("TreeMatcher.__repr__", "_human_key", "_human_key.<locals>.tryint", "human_sorted", "actual_path", "abs_file"))
