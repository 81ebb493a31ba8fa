//! What can be counted.

use std::fmt;

use measure_core::contract::vocabulary::Metric;
use perf_event::events::{Hardware, Software};
use perf_event::{Builder, ReadFormat};

/// What can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// CPU cycles, by the performance-monitoring unit; affected by frequency changes.
    Cycles,
    /// Instructions retired, by the performance-monitoring unit.
    Instructions,
    /// Nanoseconds on a CPU, by the kernel's clock. Right for tasks and for cgroups alike (the
    /// kernel's `task-clock` counts the whole CPU's time in a cgroup).
    CpuClock,
    /// Page faults, minor and major.
    PageFaults,
    /// Context switches, voluntary and not.
    ContextSwitches,
}

impl Event {
    pub const ALL: [Self; 5] = [
        Self::Cycles,
        Self::Instructions,
        Self::CpuClock,
        Self::PageFaults,
        Self::ContextSwitches,
    ];

    /// Its word in records.
    #[must_use]
    pub fn metric(self) -> Metric {
        match self {
            Self::Cycles => Metric::CpuCycles,
            Self::Instructions => Metric::Instructions,
            Self::CpuClock => Metric::CpuClockNs,
            Self::PageFaults => Metric::PageFaults,
            Self::ContextSwitches => Metric::ContextSwitches,
        }
    }

    pub(super) fn builder(self) -> Builder<'static> {
        let mut builder = match self {
            Self::Cycles => Builder::new(Hardware::CPU_CYCLES),
            Self::Instructions => Builder::new(Hardware::INSTRUCTIONS),
            Self::CpuClock => Builder::new(Software::CPU_CLOCK),
            Self::PageFaults => Builder::new(Software::PAGE_FAULTS),
            Self::ContextSwitches => Builder::new(Software::CONTEXT_SWITCHES),
        };
        builder.include_kernel();
        // Without these two a multiplexed counter could not be told from a complete one.
        builder.read_format(ReadFormat::TOTAL_TIME_ENABLED | ReadFormat::TOTAL_TIME_RUNNING);
        builder
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metric().fmt(f)
    }
}
