//! The native rungs: thread, pooled thread, process.
