//! The run directory: made, locked, written as measured.
