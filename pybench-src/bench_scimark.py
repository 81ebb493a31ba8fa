"""SOR, sparse multiplication, Monte Carlo, LU and FFT."""

from pybench import benchmark

benchmark("bm_scimark", ignore=("SparseCompRow_matmult",))
