//! What compiling a module may take, whichever compiler does it.

use std::time::Duration;

use crate::{ConfineError, Limits};

/// Environment variable: seconds of CPU time that a compiler may take for a module.
pub const CPU_VARIABLE: &str = "FAASM_BENCH_COMPILE_SECONDS";
/// Environment variable: MiB of memory that it may take.
pub const MEMORY_VARIABLE: &str = "FAASM_BENCH_COMPILE_MEMORY";

const MIB: u64 = 1 << 20;
/// By the clock, on a host that has other things to do.
const WALL_PER_CPU: u32 = 4;
const WALL_BASE: Duration = Duration::from_secs(30);
const OUTPUT_BASE_BYTES: u64 = 64 * MIB;
const OUTPUT_PER_BYTE: u64 = 32;

/// How a compiler's limits grow with the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// CPU time of the least module.
    pub cpu_base: Duration,
    /// More for each MiB, begun ones counted.
    pub cpu_per_mib: Duration,
    /// Memory of the least module.
    pub memory_base_bytes: u64,
    /// More for each byte.
    pub memory_per_byte: u64,
    /// Descriptors.
    pub open_files: u64,
}

/// What a user sets of it; the rest goes by the module's size ([`Scale`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompileLimits {
    pub cpu_time: Option<Duration>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// An environment variable that is no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("${0} must be a whole number, 1 to 1000000")]
pub struct NoNumber(&'static str);

impl CompileLimits {
    /// What [`CPU_VARIABLE`] and [`MEMORY_VARIABLE`] say.
    ///
    /// # Errors
    /// One of them is no number, or 0.
    pub fn from_env() -> Result<Self, NoNumber> {
        Ok(Self {
            cpu_time: number(CPU_VARIABLE)?.map(Duration::from_secs),
            memory_bytes: number(MEMORY_VARIABLE)?.map(|mib| mib * MIB),
        })
    }

    /// In words, for a compiler of this `scale`.
    #[must_use]
    pub fn describe(&self, scale: &Scale) -> String {
        let cpu = match self.cpu_time {
            Some(all) => format!("{all:?}"),
            None => format!(
                "{:?} and {:?} for each MiB of module",
                scale.cpu_base, scale.cpu_per_mib
            ),
        };
        let memory = match self.memory_bytes {
            Some(all) => format!("{} MiB", all / MIB),
            None => format!(
                "{} MiB and {} times the module",
                scale.memory_base_bytes / MIB,
                scale.memory_per_byte
            ),
        };
        format!("CPU time {cpu}, memory {memory}")
    }

    /// For a module of so many bytes, with a compiler of this `scale`.
    #[must_use]
    pub fn of_module(&self, bytes: u64, scale: &Scale) -> Limits {
        let mib = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
        let cpu_time = self
            .cpu_time
            .unwrap_or(scale.cpu_base + scale.cpu_per_mib * mib);
        Limits {
            cpu_time,
            wall_time: WALL_BASE + cpu_time * WALL_PER_CPU,
            memory_bytes: self
                .memory_bytes
                .unwrap_or(scale.memory_base_bytes + scale.memory_per_byte * bytes),
            file_bytes: OUTPUT_BASE_BYTES + OUTPUT_PER_BYTE * bytes,
            open_files: scale.open_files,
        }
    }
}

impl ConfineError {
    /// Whether it is the work's doing, not the host's.
    #[must_use]
    pub fn is_of_the_work(&self) -> bool {
        matches!(
            self,
            Self::CpuTime(_)
                | Self::WallTime(_)
                | Self::Memory(_)
                | Self::FileSize(_)
                | Self::Failed { .. }
        )
    }

    /// What raises the limit that it names: the end of a message, or nothing.
    #[must_use]
    pub fn how_to_raise(&self) -> String {
        match self {
            Self::CpuTime(_) | Self::WallTime(_) => {
                format!("; raise it with ${CPU_VARIABLE} or faasm-driver's --compile-seconds")
            }
            Self::Memory(_) => {
                format!("; raise it with ${MEMORY_VARIABLE} or faasm-driver's --compile-memory")
            }
            _ => String::new(),
        }
    }
}

fn number(variable: &'static str) -> Result<Option<u64>, NoNumber> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match text.to_string_lossy().parse() {
        Ok(number @ 1..=1_000_000) => Ok(Some(number)),
        _ => Err(NoNumber(variable)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale {
        cpu_base: Duration::from_secs(10),
        cpu_per_mib: Duration::from_secs(5),
        memory_base_bytes: 100 * MIB,
        memory_per_byte: 10,
        open_files: 8,
    };

    #[test]
    fn limits_grow_with_the_module_unless_they_are_set() {
        let by_size = CompileLimits::default();
        let (small, large) = (
            by_size.of_module(1000, &SCALE),
            by_size.of_module(8 * MIB, &SCALE),
        );
        assert_eq!(small.cpu_time, Duration::from_secs(15));
        assert_eq!(large.cpu_time, Duration::from_secs(50));
        assert_eq!(large.memory_bytes, 180 * MIB);
        assert!(large.wall_time > large.cpu_time && large.file_bytes > small.file_bytes);
        assert_eq!(
            by_size.describe(&SCALE),
            "CPU time 10s and 5s for each MiB of module, memory 100 MiB and 10 times the module"
        );
        let set = CompileLimits {
            cpu_time: Some(Duration::from_secs(1)),
            memory_bytes: Some(MIB),
        };
        let limits = set.of_module(8 * MIB, &SCALE);
        assert_eq!(
            (limits.cpu_time, limits.memory_bytes),
            (Duration::from_secs(1), MIB)
        );
        assert_eq!(set.describe(&SCALE), "CPU time 1s, memory 1 MiB");
    }
}
