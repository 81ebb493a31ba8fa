//! Statistics by process, on simulated processes and batches that differ.

mod coverage;
mod flags;
mod populations;
