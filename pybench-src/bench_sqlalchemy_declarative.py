"""Objects to and from SQLite by declarative mapping."""

from pybench import benchmark

benchmark("bm_sqlalchemy_declarative", ignore=("_EventKey._key", "UOWTransaction.execute.<locals>.<lambda>", "CursorResultMetaData._index_for_key", "BaseRow._get_by_key_impl",))
