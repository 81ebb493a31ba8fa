//! The measurement library: clocks, perf counters, memory of process trees, cgroups, disk I/O,
//! schedules, statistics, sample and environment records, and the driver contract.
//!
//! It knows no runtime. A driver implements [`driver::Driver`] and [`driver::Rung`]; a tool above
//! starts drivers as processes and reads the [`driver::protocol`].
//!
//! Design constraints:
//! * a measured path holds the least code that is fair: no allocation, no lock, no I/O that the
//!   thing measured does not itself need;
//! * nothing is substituted silently: what cannot be measured is a reason, not a zero;
//! * everything that is made carries [`label::LABEL`], and only that is ever removed.

pub mod clock;
pub mod driver;
pub mod exit;
pub mod home;
pub mod ids;
pub mod interrupt;
pub mod label;
pub mod record;
