//! Every engine setting that costs or protects something, in one place, so that a record can say what
//! was in force and a hand-written loop can be given the same.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use measure_core::base::ids;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    ProfilingStrategy,
};

use crate::budget::BudgetSettings;
use crate::dirty_pages;
use crate::error::FaasletError;

/// Elements that all segments may have, for each that a table may have. Those that are not at a constant place in it are brought there by
/// code of the engine's at each start, before anything can be interrupted, and those of passive segments take 16 bytes of the host's
/// memory each; no limit of a start counts either.
pub(crate) const ELEMENTS_PER_TABLE: u64 = 2;

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
    /// How often starts under way are held against their deadlines.
    pub tick: Duration,
    /// Memory of a freed slot that is reset in place rather than given back, in bytes, where the kernel says which pages were written;
    /// elsewhere it is the first of it, and at most 256 KiB.
    pub keep_resident_bytes: usize,
    /// Whether the engine tells a profiler where its code lies.
    pub profiling: Profiling,
    /// What all starts may have together.
    pub budget: BudgetSettings,
}

/// Environment variable by which a user has compiled code announced to `perf`.
pub const PROFILE_VARIABLE: &str = "FAASM_BENCH_PROFILE";

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

impl Profiling {
    /// What [`PROFILE_VARIABLE`] asks for; nothing if it is unset or empty.
    ///
    /// # Errors
    /// It asks for what there is not.
    pub fn from_env() -> Result<Self, FaasletError> {
        let value = std::env::var_os(PROFILE_VARIABLE).unwrap_or_default();
        let parsed = value.to_string_lossy().parse();
        parsed
            .map_err(|e: UnknownProfiling| FaasletError::refused(format!("${PROFILE_VARIABLE}"), e))
    }

    /// The word for it on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::PerfMap => "perfmap",
            Self::JitDump => "jitdump",
        }
    }
}

/// A text that names no [`Profiling`]; says the nearest that does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownProfiling(String);

impl FromStr for Profiling {
    type Err = UnknownProfiling;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::Off);
        }
        let all = [Self::Off, Self::PerfMap, Self::JitDump];
        all.into_iter().find(|p| p.name() == text).ok_or_else(|| {
            let names = all.map(|p| p.name().to_owned());
            UnknownProfiling(ids::unknown("kind of profile", text, &names))
        })
    }
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
            // What an interpreter writes in a short request, and the gaps between.
            keep_resident_bytes: 2 << 20,
            profiling: Profiling::Off,
            budget: BudgetSettings::default(),
        }
    }
}

/// Stack of a Faaslet's thread: the Wasm stack limit and room for the host's calls below it.
pub const STACK_BYTES: usize = 1 << 20;
/// The largest memory limit: what a 32-bit linear memory can address.
pub const MAX_MEMORY_LIMIT_BYTES: u64 = 4 * GIB;
/// Address space per slot: with all of 4 GiB reserved, compiled code needs no bounds check.
pub(crate) const RESERVATION_BYTES: u64 = 4 * GIB;
/// Inaccessible bytes after each slot, for constant offsets beyond an address.
pub const GUARD_BYTES: u64 = 32 * MIB;

/// What one component may have: core instances, memories and tables. Those that others' tools make have one memory.
pub(crate) const COMPONENT_INSTANCES: u32 = 64;
pub(crate) const COMPONENT_MEMORIES: u32 = 4;
pub(crate) const COMPONENT_TABLES: u32 = 16;
/// Of a slot that is reset without knowing what was written: all of it is copied each time.
const UNSEEN_KEPT_BYTES: usize = 256 << 10;
/// Of a table, which a program seldom writes.
const TABLE_KEPT_BYTES: usize = 256 << 10;
/// Of a stack that a component ran on so much is kept, and cleared, for the next.
const COMPONENT_STACK_KEPT_BYTES: usize = 16 << 10;

impl EngineSettings {
    /// The engine's configuration. The same value yields the same compiled code on the same CPU; slots,
    /// limits and deadline do not change the code.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut pool = self.pool();
        pool.total_core_instances(self.instances)
            .total_memories(self.instances)
            .total_tables(self.instances)
            .total_stacks(0);
        let mut config = self.config_with(pool);
        config
            // No stack is walked where a deadline interrupts: see `deadline`. What a trap names is found in `trace`.
            .wasm_backtrace_max_frames(None);
        config
    }

    /// The configuration of the engine for components: the same, but code that looks at the time itself, a stack of their own, on which
    /// they can be left where they wait, and slots for all that one has.
    pub(crate) fn component_config(&self) -> Config {
        let all = |each: u32| self.instances.saturating_mul(each);
        let mut pool = self.pool();
        pool.total_component_instances(self.instances)
            .total_core_instances(all(COMPONENT_INSTANCES))
            .total_memories(all(COMPONENT_MEMORIES))
            .total_tables(all(COMPONENT_TABLES))
            .total_stacks(self.instances)
            .max_core_instances_per_component(COMPONENT_INSTANCES)
            .max_memories_per_component(COMPONENT_MEMORIES)
            .max_tables_per_component(COMPONENT_TABLES)
            .async_stack_keep_resident(COMPONENT_STACK_KEPT_BYTES);
        let mut config = self.config_with(pool);
        config
            .wasm_component_model(true)
            .epoch_interruption(true)
            .async_stack_size(STACK_BYTES)
            .wasm_backtrace_max_frames(NonZeroUsize::new(16));
        config
    }

    /// Whether freed slots are reset by what the kernel says was written to them.
    pub(crate) fn resets_by_scan(&self) -> bool {
        self.keep_resident_bytes > 0 && dirty_pages::scan_is_sound()
    }

    fn pool(&self) -> PoolingAllocationConfig {
        let mut pool = PoolingAllocationConfig::new();
        let (kept_bytes, scan) = match self.resets_by_scan() {
            true => (self.keep_resident_bytes, Enabled::Yes),
            false => (self.keep_resident_bytes.min(UNSEEN_KEPT_BYTES), Enabled::No),
        };
        pool.max_memories_per_module(1)
            .max_tables_per_module(1)
            .table_elements(self.table_limit_elements as usize)
            .max_memory_size(usize::try_from(self.memory_limit_bytes).unwrap_or(usize::MAX))
            .linear_memory_keep_resident(kept_bytes)
            .table_keep_resident(kept_bytes.min(TABLE_KEPT_BYTES))
            .pagemap_scan(scan);
        pool
    }

    fn config_with(&self, pool: PoolingAllocationConfig) -> Config {
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .memory_init_cow(true)
            .memory_reservation(RESERVATION_BYTES)
            .memory_guard_size(GUARD_BYTES)
            .max_wasm_stack(self.stack_limit_bytes)
            .cranelift_opt_level(OptLevel::Speed)
            .wasm_memory64(false)
            .wasm_multi_memory(false)
            // Component-model concurrency, which nothing here uses.
            .concurrency_support(false)
            .profiler(match self.profiling {
                Profiling::Off => ProfilingStrategy::None,
                Profiling::PerfMap => ProfilingStrategy::PerfMap,
                Profiling::JitDump => ProfilingStrategy::JitDump,
            });
        config
    }

    /// In words, for a description's `settings`.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut lines = vec![
            format!("memory limit {} MiB", self.memory_limit_bytes / MIB),
            format!("table limit {} elements", self.table_limit_elements),
            format!("Wasm stack limit {} KiB", self.stack_limit_bytes >> 10),
            format!(
                "deadline {:?} by signal, looked at every {:?}, no check in loops and functions",
                self.deadline, self.tick
            ),
            "pooling allocator, one slot per worker, copy-on-write images".to_owned(),
            format!(
                "{} GiB reserved and {} MiB guard per memory, no bounds checks in code",
                RESERVATION_BYTES / GIB,
                GUARD_BYTES / MIB
            ),
            match self.resets_by_scan() {
                true => format!(
                    "freed slots reset in place up to {} KiB, by pagemap scan",
                    self.keep_resident_bytes >> 10
                ),
                false => format!(
                    "the first {} KiB of freed slots reset in place, no pagemap scan (Linux before 6.7, or swap)",
                    self.keep_resident_bytes.min(UNSEEN_KEPT_BYTES) >> 10
                ),
            },
            "ahead-of-time code for the host's CPU, optimised for speed".to_owned(),
            self.budget.describe(),
        ];
        if self.profiling != Profiling::Off {
            lines.push(format!("announced to perf: {}", self.profiling.name()));
        }
        lines
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
    fn kinds_of_profile_are_named_and_unknown_ones_refused() {
        for (text, kind) in [
            ("", Profiling::Off),
            ("off", Profiling::Off),
            ("perfmap", Profiling::PerfMap),
            ("jitdump", Profiling::JitDump),
        ] {
            assert_eq!(text.parse(), Ok(kind), "{text}");
        }
        let refused = "jitdmp"
            .parse::<Profiling>()
            .expect_err("unknown")
            .to_string();
        assert!(refused.contains("did you mean `jitdump`?"), "{refused}");
    }

    #[test]
    fn a_profiled_engine_says_so() {
        let settings = EngineSettings {
            profiling: Profiling::JitDump,
            ..EngineSettings::default()
        };
        assert_eq!(
            settings.describe().last().map(String::as_str),
            Some("announced to perf: jitdump")
        );
    }
}
