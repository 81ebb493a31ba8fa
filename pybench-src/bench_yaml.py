"""Loads YAML in Python."""

from pybench import benchmark

# The numbers that the benchmark makes up reach to sys.maxsize, which the sides do not share.
benchmark("bm_yaml", loops=6, ignore=("BaseConstructor.construct_object", "BaseConstructor.construct_scalar", "SafeConstructor.construct_scalar", "SafeConstructor.construct_yaml_str", "Scanner.scan_flow_scalar_non_spaces"))
