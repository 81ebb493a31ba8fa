//! The docker rungs, on an engine of its own.
