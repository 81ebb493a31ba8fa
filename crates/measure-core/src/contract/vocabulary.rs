//! The words of the records: what `measure`, `phase` and `metric` of a sample can say. Written by
//! `runtime_bench`, read here; docs/records.md explains each.

/// The first starts of a driver process, by which the number of starts is chosen.
pub const CALIBRATE: &str = "calibrate";
/// One start of the wall-time pass.
pub const START: &str = "start";
/// A whole batch of the wall-time pass.
pub const BATCH: &str = "batch";
/// A batch of the CPU pass.
pub const CPU: &str = "cpu";
/// A batch of the disk I/O pass.
pub const DISK: &str = "disk";
/// A single start right after the page caches were dropped.
pub const DROP_CACHES: &str = "drop-caches";
/// Parked workers.
pub const HOLD: &str = "hold";
/// A few parked workers, by which the sizes of the sweep are chosen; not in its fit.
pub const TRIAL: &str = "trial";
/// Whether the rung can run.
pub const PROBE: &str = "probe";

/// Wall time.
pub const WALL_NS: &str = "wall_ns";
/// CPU time of the scope.
pub const CPU_NS: &str = "cpu_ns";
/// CPU cycles of the scope, user and kernel.
pub const CPU_CYCLES: &str = "cpu_cycles";
/// CPU time of the client of an engine, apart from the scope's.
pub const CLIENT_CPU_NS: &str = "client_cpu_ns";
/// Bytes that the scope fetched from storage.
pub const READ_BYTES: &str = "read_bytes";
/// Bytes that the scope caused to be sent to storage.
pub const WRITE_BYTES: &str = "write_bytes";

/// Proportional set size of the whole scope.
pub const PSS_BYTES: &str = "pss_bytes";
/// The kernel's own peak of the memory charged to the scope's cgroup, page cache included.
pub const CGROUP_PEAK_BYTES: &str = "cgroup_peak_bytes";
/// The host's MemAvailable.
pub const MEM_AVAILABLE_BYTES: &str = "mem_available_bytes";

/// Phase of `hold`: before the driver was started.
pub const BEFORE: &str = "before";
/// Phase of `hold`: everything is ready, no worker yet.
pub const READY: &str = "ready";
/// Phase of `hold`: all workers are blocked inside the function.
pub const PARKED: &str = "parked";
/// Phase of `hold`: the driver has ended.
pub const AFTER: &str = "after";
/// Phase of `hold`: the largest value seen over the scope's whole life.
pub const PEAK: &str = "peak";

/// Unique set size of the whole scope.
pub const USS_BYTES: &str = "uss_bytes";
/// Resident set size, shared pages counted once per process.
pub const RSS_BYTES: &str = "rss_bytes";
/// Swapped out.
pub const SWAP_BYTES: &str = "swap_bytes";
/// Proportional set size of the client, apart from the scope.
pub const CLIENT_PSS_BYTES: &str = "client_pss_bytes";
/// How many processes the scope has.
pub const PROCESSES: &str = "processes";
/// How long the pass over the scope took.
pub const WALK_NS: &str = "walk_ns";
/// How many passes were made over the scope's life.
pub const WALKS: &str = "walks";
/// Memory charged to the scope's cgroup, page cache included.
pub const CGROUP_BYTES: &str = "cgroup_bytes";
/// Page tables of the scope's processes.
pub const SCOPE_PAGE_TABLES_BYTES: &str = "scope_page_tables_bytes";
