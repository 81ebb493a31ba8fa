//! A block as the host saw it, and whether it was disturbed.

use std::fmt;

use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Metric, phase};

use super::error::WatchError;
use crate::memory::Comm;

/// Others' share of the CPU time from which a block is disturbed.
pub const OTHER_CPU_SHARE: f64 = 0.05;
/// Stolen share of the CPU time from which it is.
pub const STEAL_SHARE: f64 = 0.01;
/// Lowest frequency below this share of the highest.
pub const FREQUENCY_SHARE: f64 = 0.9;

/// A time, and by how much it may be off because counters tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    pub ns: u64,
    pub off_by_ns: u64,
}

/// Another process, and what it did during the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busiest {
    pub pid: i32,
    pub name: Comm,
    pub cpu_ns: u64,
}

/// What the host did during a block; what it does not show has its reason.
#[derive(Debug)]
pub struct HostBlock {
    pub wall_ns: u64,
    /// CPUs that are online.
    pub cpus: u64,
    /// CPU time of processes that are neither the scope's, nor its client, nor this one.
    pub other_cpu: Result<Amount, WatchError>,
    /// CPU time of kernel threads, which clean up after anyone; where they are not seen it is among others'.
    pub kernel_cpu_ns: Result<u64, WatchError>,
    /// CPU time that the hypervisor withheld.
    pub steal: Result<Amount, WatchError>,
    /// Most tasks that were seen ready to run at once, those of the block among them.
    pub run_queue: Result<u64, WatchError>,
    /// Swapped in and out.
    pub swapped_bytes: Result<u64, WatchError>,
    /// Of the fastest CPU, when it was lowest and when it was highest.
    pub frequency_khz: Result<(u64, u64), WatchError>,
    /// How often a CPU or package was throttled for heat.
    pub throttles: Result<u64, WatchError>,
    /// Who of the others worked most, if any worked for a tick and lives.
    pub busiest: Option<Busiest>,
}

/// What disturbed a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Disturbance {
    /// Share of the CPU time.
    OtherCpu {
        share: f64,
        busiest: Option<Busiest>,
    },
    /// Share of the CPU time.
    Steal {
        share: f64,
    },
    Swap {
        bytes: u64,
    },
    Frequency {
        lowest_khz: u64,
        highest_khz: u64,
    },
    Throttling {
        times: u64,
    },
}

/// Whether a block was disturbed.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Quiet,
    /// By one thing at least.
    Disturbed(Vec<Disturbance>),
    /// Not that it could be told.
    Unchecked(Unchecked),
}

/// Why it cannot be told whether a block was disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchecked {
    #[error("the block is too short for counters that tick")]
    TooShort,
    #[error("the host does not show what others did")]
    NotShown,
}

impl Disturbance {
    /// Its phase in records.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        match self {
            Self::OtherCpu { .. } => phase::OTHER_CPU,
            Self::Steal { .. } => phase::STEAL,
            Self::Swap { .. } => phase::SWAP,
            Self::Frequency { .. } => phase::FREQUENCY,
            Self::Throttling { .. } => phase::THROTTLING,
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCpu { share, busiest } => {
                write!(f, "others took {:.1} % of the CPU time", 100.0 * share)?;
                match busiest {
                    Some(most) => write!(f, ", `{}` (pid {}) the most", most.name, most.pid),
                    None => Ok(()),
                }
            }
            Self::Steal { share } => {
                let percent = 100.0 * share;
                write!(f, "the hypervisor withheld {percent:.1} % of the CPU time")
            }
            Self::Swap { bytes } => write!(f, "{bytes} bytes were swapped"),
            Self::Frequency {
                lowest_khz,
                highest_khz,
            } => write!(
                f,
                "the frequency fell from {} to {} MHz",
                highest_khz / 1000,
                lowest_khz / 1000
            ),
            Self::Throttling { times } => {
                write!(f, "the processor was throttled for heat, {times} times")
            }
        }
    }
}

/// What a share, known to within its error, says of its limit.
enum Against {
    Above(f64),
    Below,
    Unclear,
}

impl HostBlock {
    /// The CPU time there was: wall time times CPUs.
    #[must_use]
    pub fn host_cpu_ns(&self) -> u64 {
        self.wall_ns.saturating_mul(self.cpus)
    }

    /// Whether the block was disturbed, by the rule of docs/records.md.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut found = Vec::new();
        let mut unchecked = None;
        let mut judge =
            |amount: &Result<Amount, WatchError>, limit, what: &dyn Fn(f64) -> _| match amount
                .as_ref()
                .map(|amount| self.against(*amount, limit))
            {
                Ok(Against::Above(share)) => found.push(what(share)),
                Ok(Against::Below) => {}
                Ok(Against::Unclear) => unchecked = unchecked.or(Some(Unchecked::TooShort)),
                Err(_) => unchecked = Some(Unchecked::NotShown),
            };
        judge(&self.other_cpu, OTHER_CPU_SHARE, &|share| {
            let busiest = self.busiest.clone();
            Disturbance::OtherCpu { share, busiest }
        });
        judge(&self.steal, STEAL_SHARE, &|share| Disturbance::Steal {
            share,
        });
        match self.swapped_bytes {
            Ok(bytes @ 1..) => found.push(Disturbance::Swap { bytes }),
            Ok(0) => {}
            Err(_) => unchecked = Some(Unchecked::NotShown),
        }
        if let Ok((lowest_khz, highest_khz)) = self.frequency_khz
            && (lowest_khz as f64) < FREQUENCY_SHARE * highest_khz as f64
        {
            found.push(Disturbance::Frequency {
                lowest_khz,
                highest_khz,
            });
        }
        if let Ok(times @ 1..) = self.throttles {
            found.push(Disturbance::Throttling { times });
        }
        match unchecked {
            _ if !found.is_empty() => Verdict::Disturbed(found),
            Some(why) => Verdict::Unchecked(why),
            None => Verdict::Quiet,
        }
    }

    fn against(&self, amount: Amount, limit: f64) -> Against {
        let whole = self.host_cpu_ns() as f64;
        let (least, most) = (
            amount.ns.saturating_sub(amount.off_by_ns) as f64,
            amount.ns.saturating_add(amount.off_by_ns) as f64,
        );
        if least > limit * whole {
            return Against::Above(amount.ns as f64 / whole);
        }
        if most <= limit * whole {
            Against::Below
        } else {
            Against::Unclear
        }
    }

    /// The block as records have it, each value with its phase.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, Metric, Value)> {
        let amount = |amount: &Result<Amount, WatchError>| amount.as_ref().map(|a| a.ns).into();
        let number = |number: &Result<u64, WatchError>| number.as_ref().copied().into();
        let mut values: Vec<(&str, Metric, Value)> = [
            (Metric::HostCpuNs, self.host_cpu_ns().into()),
            (Metric::OtherCpuNs, amount(&self.other_cpu)),
            (Metric::KernelCpuNs, number(&self.kernel_cpu_ns)),
            (Metric::StealNs, amount(&self.steal)),
            (Metric::RunQueue, number(&self.run_queue)),
            (Metric::SwappedBytes, number(&self.swapped_bytes)),
        ]
        .map(|(metric, value)| (phase::TOTAL, metric, value))
        .into();
        if let Ok((lowest, highest)) = self.frequency_khz {
            values.push((phase::TOTAL, Metric::LowestFrequencyKhz, lowest.into()));
            values.push((phase::TOTAL, Metric::HighestFrequencyKhz, highest.into()));
        }
        if let Ok(times) = self.throttles {
            values.push((phase::TOTAL, Metric::Throttles, times.into()));
        }
        let (disturbed, by) = match self.verdict() {
            Verdict::Quiet => (0.into(), Vec::new()),
            Verdict::Disturbed(by) => (1.into(), by),
            Verdict::Unchecked(why) => (Value::Unavailable(why.to_string()), Vec::new()),
        };
        values.push((phase::TOTAL, Metric::Disturbed, disturbed));
        values.extend(
            by.iter()
                .map(|by| (by.phase(), Metric::Disturbed, 1.into())),
        );
        values
    }
}
