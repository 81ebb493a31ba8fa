"""An operating system kernel in small."""

from pybench import benchmark

benchmark("bm_richards")
