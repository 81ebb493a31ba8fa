//! What samples a scope from outside: memory of process trees, counters, disk I/O, cgroups, kernel memory,
//! the environment that a run was made in, and what else the host did during a block. No driver depends on it, so no rung weighs itself.

pub mod cgroup;
pub mod cpu_time;
pub mod disk_io;
pub mod environment;
mod host;
pub mod host_watch;
pub mod kernel_limits;
pub mod kernel_memory;
pub mod memory;
pub mod memory_room;
pub mod perf;
pub mod wall_clock;

/// Has every reader of the kernel's texts here read `text`, whatever it is of: what is fuzzed. None may panic.
#[doc(hidden)]
pub fn read_as_everything(text: &[u8]) {
    memory::read_as_everything(text);
    let text = String::from_utf8_lossy(text);
    disk_io::read_as_everything(&text);
    let _ = (
        host::parse_cpu_ticks(&text),
        host::parse_swapped_pages(&text),
        perf::parse_cpu_list(&text),
    );
}
