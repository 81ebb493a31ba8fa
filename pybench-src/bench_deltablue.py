"""An incremental constraint solver."""

from pybench import benchmark

benchmark("bm_deltablue", loops=7)
