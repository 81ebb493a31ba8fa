//! Resource controllers, under the names that either version has for them.

use std::fmt;

/// A resource controller, or the v2 tree as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Controller {
    /// CPU shares and quotas.
    Cpu,
    /// CPU time.
    Cpuacct,
    /// Memory use, peak and limit.
    Memory,
    /// Block I/O (`io` on v2).
    Blkio,
    /// Stops and thaws groups.
    Freezer,
    /// Limits the number of tasks.
    Pids,
    /// The v2 tree, with or without controllers (perf's cgroup events need a group there).
    Unified,
}

impl Controller {
    /// Every controller.
    pub const ALL: [Self; 7] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Memory,
        Self::Blkio,
        Self::Freezer,
        Self::Pids,
        Self::Unified,
    ];

    /// Its v1 name, the key in [`crate::contract::Scope::cgroups`].
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// The v2 controller that must be enabled for it; `None` for what every v2 group has
    /// (`cpu.stat` counts time and `cgroup.freeze` freezes without a controller).
    pub(super) fn v2_name(self) -> Option<&'static str> {
        self.names().1
    }

    fn names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Cpu => ("cpu", Some("cpu")),
            Self::Cpuacct => ("cpuacct", None),
            Self::Memory => ("memory", Some("memory")),
            Self::Blkio => ("blkio", Some("io")),
            Self::Freezer => ("freezer", None),
            Self::Pids => ("pids", Some("pids")),
            Self::Unified => ("unified", None),
        }
    }

    /// Whether v2 lets single threads of a process be in groups of it ("threaded controllers").
    pub(super) fn knows_threads(self) -> bool {
        !matches!(self, Self::Memory | Self::Blkio)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
