//! The shared library of every executable here: what all tools have in common, what passes between a
//! driver and whoever started it, and what a driver is made with. Three rooms, each of which uses only those
//! before it:
//!
//! * [`base`]: exit codes, interrupts, labels, ids, the clock, progress;
//! * [`contract`]: the protocol, descriptions, samples, the words of records, the run's directory;
//! * [`driver_kit`]: the `Rung` trait, batches, spawning, cgroups.
//!
//! It knows no runtime, and samples nothing: memory, counters, disk and environment are read by the crate
//! `probes` and summarised by the crate `stats`, neither of which a driver can name, so no rung weighs itself.
//!
//! Design constraints:
//! * a measured path holds the least code that is fair: no allocation, no lock, no I/O that the
//!   thing measured does not itself need;
//! * nothing is substituted silently: what cannot be measured is a reason, not a zero;
//! * everything that is made carries [`base::label::LABEL`], and only that is ever removed.

// The one crate here that may have users elsewhere: drivers.
#![warn(missing_docs)]

pub mod base;
pub mod contract;
pub mod driver_kit;
