"""Rows to and from SQLite by SQL expressions."""

from pybench import benchmark

benchmark("bm_sqlalchemy_imperative")
