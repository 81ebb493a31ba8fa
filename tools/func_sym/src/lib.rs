//! From the names that a profile shows to the real function names of a module in the store.
