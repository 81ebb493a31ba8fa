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

pub mod bare_thread;
pub mod cgroup;
pub mod clock;
pub mod command;
pub mod disk_io;
pub mod driver;
pub mod environment;
pub mod exit;
pub mod home;
pub mod ids;
pub mod interrupt;
pub mod kernel_memory;
pub mod label;
pub mod memory;
pub mod native_command;
pub mod perf;
pub mod progress;
pub mod record;
pub mod run_dir;
pub mod schedule;
pub mod spawn;
pub mod stats;
pub mod words;
