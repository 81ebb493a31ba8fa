"""Objects to and from SQLite by declarative mapping."""

from pybench import benchmark

benchmark("bm_sqlalchemy_declarative")
