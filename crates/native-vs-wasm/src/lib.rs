//! What poly_bench and py_bench share: verify, interleave and time two sides, keep the rows.
