//! Every engine setting that costs or protects something, in one place, so that a record can say what
//! was in force and a hand-written loop can be given the same.

use std::time::Duration;

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    ProfilingStrategy,
};

/// The engine's version, as the records name it. A test holds it against the lock file.
pub const ENGINE: &str = "wasmtime 48.0.8";

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Settings of the engine and limits of every Faaslet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Instances that can exist at once: slots of the pooling allocator.
    pub instances: u32,
    /// The most linear memory a Faaslet may have, in bytes.
    pub memory_limit_bytes: u64,
    /// The most elements its table may have.
    pub table_limit_elements: u32,
    /// Wasm stack before a stack-overflow trap, in bytes.
    pub stack_limit_bytes: usize,
    /// How long a start may compute before it is trapped; time blocked on standard input does not count.
    pub deadline: Duration,
    /// How often running code is made to look at its deadline.
    pub tick: Duration,
    /// Dirty memory of a freed slot that is reset in place rather than unmapped, in bytes.
    pub keep_resident_bytes: usize,
    /// Whether the engine tells a profiler where its code lies.
    pub profiling: Profiling,
}

/// How compiled code is announced to `perf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profiling {
    /// Not at all.
    #[default]
    Off,
    /// `/tmp/perf-PID.map`.
    PerfMap,
    /// `jit-PID.dump` in the working directory.
    JitDump,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            instances: 64,
            memory_limit_bytes: 256 * MIB,
            table_limit_elements: 65_536,
            stack_limit_bytes: 512 << 10,
            deadline: Duration::from_secs(10),
            tick: Duration::from_millis(20),
            keep_resident_bytes: 256 << 10,
            profiling: Profiling::Off,
        }
    }
}

/// The largest memory limit: what a 32-bit linear memory can address.
pub const MAX_MEMORY_LIMIT_BYTES: u64 = 4 * GIB;
/// Address space per slot: with all of 4 GiB reserved, compiled code needs no bounds check.
const RESERVATION_BYTES: u64 = 4 * GIB;
/// Inaccessible bytes after each slot, for constant offsets beyond an address.
const GUARD_BYTES: u64 = 32 * MIB;

impl EngineSettings {
    /// The engine's configuration. The same value yields the same compiled code on the same CPU; slots,
    /// limits and deadline do not change the code.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(self.instances)
            .total_memories(self.instances)
            .total_tables(self.instances)
            .total_stacks(0)
            .max_memories_per_module(1)
            .max_tables_per_module(1)
            .table_elements(self.table_limit_elements as usize)
            .max_memory_size(usize::try_from(self.memory_limit_bytes).unwrap_or(usize::MAX))
            .linear_memory_keep_resident(self.keep_resident_bytes)
            .table_keep_resident(self.keep_resident_bytes)
            // Resets only the pages that were written, where the kernel (6.7 or newer) can say which.
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .memory_init_cow(true)
            .memory_reservation(RESERVATION_BYTES)
            .memory_guard_size(GUARD_BYTES)
            .max_wasm_stack(self.stack_limit_bytes)
            .epoch_interruption(true)
            .cranelift_opt_level(OptLevel::Speed)
            .wasm_memory64(false)
            .wasm_multi_memory(false)
            // Component-model concurrency, which no core module uses.
            .concurrency_support(false)
            .profiler(match self.profiling {
                Profiling::Off => ProfilingStrategy::None,
                Profiling::PerfMap => ProfilingStrategy::PerfMap,
                Profiling::JitDump => ProfilingStrategy::JitDump,
            });
        config
    }

    /// The deadline in ticks of the epoch. The epoch may be about to advance, hence the extra one.
    #[must_use]
    pub fn deadline_ticks(&self) -> u64 {
        let ticks = self
            .deadline
            .as_nanos()
            .div_ceil(self.tick.as_nanos().max(1));
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }

    /// In words, for a description's `settings`.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        vec![
            format!("memory limit {} MiB", self.memory_limit_bytes / MIB),
            format!("table limit {} elements", self.table_limit_elements),
            format!("Wasm stack limit {} KiB", self.stack_limit_bytes >> 10),
            format!(
                "deadline {:?} by epoch, tick {:?}",
                self.deadline, self.tick
            ),
            "pooling allocator, one slot per worker, copy-on-write images".to_owned(),
            format!(
                "{} GiB reserved and {} MiB guard per memory, no bounds checks in code",
                RESERVATION_BYTES / GIB,
                GUARD_BYTES / MIB
            ),
            format!(
                "freed slots reset in place up to {} KiB, by pagemap scan where the kernel has it",
                self.keep_resident_bytes >> 10
            ),
            "ahead-of-time code for the host's CPU, optimised for speed".to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_version_is_that_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = ENGINE.split_once(' ').expect("a name and a version");
        assert!(
            lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")),
            "{ENGINE} is not what Cargo.lock builds"
        );
    }

    #[test]
    fn a_deadline_is_never_zero_ticks() {
        let settings = EngineSettings {
            deadline: Duration::ZERO,
            ..EngineSettings::default()
        };
        assert_eq!(settings.deadline_ticks(), 1);
        assert_eq!(EngineSettings::default().deadline_ticks(), 501);
    }
}
