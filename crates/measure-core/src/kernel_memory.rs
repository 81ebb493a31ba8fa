//! What PSS does not see: page tables, kernel stacks, slabs.
