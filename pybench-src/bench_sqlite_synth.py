"""Python functions and aggregates called by SQLite."""

from pybench import benchmark

benchmark("bm_sqlite_synth", loops=500)
