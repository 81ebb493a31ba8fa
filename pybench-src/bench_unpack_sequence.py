"""Unpacks tuples and lists into variables."""

from pybench import benchmark

benchmark("bm_unpack_sequence", loops=3000, ignore=("do_unpacking", "bench_tuple_unpacking", "bench_list_unpacking", "bench_all"), see={"do_unpacking": tuple("abcdefghij")})
