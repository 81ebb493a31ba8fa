//! What samples a scope from outside: memory of process trees, counters, disk I/O, cgroups, kernel memory,
//! the environment that a run was made in, and what else the host did during a block. No driver depends on it, so no rung weighs itself.

pub mod cgroup;
pub mod cpu_time;
pub mod disk_io;
pub mod environment;
mod host;
pub mod host_watch;
pub mod kernel_memory;
pub mod memory;
pub mod perf;
pub mod wall_clock;
