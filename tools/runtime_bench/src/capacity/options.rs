//! Options of `capacity`.

use std::time::Duration;

use measure_core::base::duration::parse_duration;
use measure_core::base::range::in_range;
use structopt::StructOpt;

use crate::common_options::{Common, Which};
use crate::error::BenchError;

/// More parked workers than any host holds; beyond it a number is a typing error.
const MAX_RESIDENT: u64 = 100_000_000;

/// Parks workers of each rung, blocked inside the function's main, until something gives: a start fails or is slower than --slo, memory
/// falls to its floor, the host swaps, or a limit of the kernel is near. On the way it measures what one more start takes, and what the
/// parked weigh. Then all of them are released, and every exit code is checked. docs/capacity.md says how each of these is told.
///
/// EXAMPLES:
///     runtime_bench capacity --rungs wasm,faaslet,process      until something gives (root)
///     runtime_bench capacity --rungs wasm --until 10000        no further
///     runtime_bench capacity --rungs wasm --raise-limits       with the kernel's limits out of the way, and put back afterwards (root)
///     runtime_bench report results/latest                      the tables and the plot again
#[derive(Debug, StructOpt)]
#[structopt(verbatim_doc_comment)]
pub struct CapacityOptions {
    #[structopt(flatten)]
    pub(super) common: Common,
    #[structopt(flatten)]
    pub(super) which: Which,
    /// Stop at so many parked workers [default: where something gives]
    #[structopt(long, name = "N")]
    until: Option<u64>,
    /// A start slower than this has given, as in 5ms [default: the larger of ten times the median on the empty host and 1ms]
    #[structopt(long, name = "DURATION", parse(try_from_str = parse_duration))]
    slo: Option<Duration>,
    /// Per cent of the memory, of the host or of a limited cgroup around this program, that stays free
    #[structopt(long, name = "PERCENT", default_value = "10")]
    floor: u32,
    /// Raise pid_max, threads-max, max_map_count, max_net_namespaces and file-max for the time of the run (needs root)
    #[structopt(long)]
    pub(super) raise_limits: bool,
}

/// Where a ramp ends, if nothing gives before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) until: Option<u64>,
    pub(super) slo: Option<Duration>,
    pub(super) floor_percent: u32,
}

impl CapacityOptions {
    /// # Errors
    /// A number makes no sense.
    pub(super) fn ends(&self) -> Result<Ends, BenchError> {
        in_range("--until", self.until.unwrap_or(1), 1..=MAX_RESIDENT)?;
        in_range("--floor", self.floor, 1..=90)?;
        Ok(Ends {
            until: self.until,
            slo: self.slo,
            floor_percent: self.floor,
        })
    }
}
