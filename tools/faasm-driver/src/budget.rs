//! Options of what all starts of this process may have together.

use faaslet::BudgetSettings;
use measure_core::base::range::in_range;
use measure_core::driver_kit::DriverError;
use structopt::StructOpt;

// No doc comment: it would take the place of the program's own in its --help.
#[derive(Debug, StructOpt)]
pub(crate) struct BudgetOptions {
    /// Linear memory of all starts together, in MiB [default: three quarters of the host's memory or the cgroup's limit]
    #[structopt(long, name = "MIB", env = "FAASM_BENCH_MEMORY_BUDGET", global = true)]
    memory_budget: Option<u64>,
    /// Files that programs may have open, all together [default: what the limit of open files leaves]
    #[structopt(
        long,
        name = "FILES",
        env = "FAASM_BENCH_DESCRIPTOR_BUDGET",
        global = true
    )]
    descriptor_budget: Option<u64>,
    /// Threads of starts, all together [default: nine tenths of what host and cgroup allow]
    #[structopt(
        long,
        name = "THREADS",
        env = "FAASM_BENCH_THREAD_BUDGET",
        global = true
    )]
    thread_budget: Option<u64>,
    /// What a start may write to files, in MiB, and as much output; so much is kept free for each under way that has a writable directory
    #[structopt(
        long,
        env = "FAASM_BENCH_DISK_LIMIT",
        default_value = "256",
        global = true
    )]
    disk_limit: u64,
    /// Percent of one processor for all starts in CPU groups together [default: all processors]
    #[structopt(long, name = "PERCENT", env = "FAASM_BENCH_CPU_BUDGET", global = true)]
    cpu_budget: Option<u32>,
}

/// More than any host has; so much for each of thousands of starts is still a number.
const MIB_MAX: u64 = 1 << 30;

impl BudgetOptions {
    pub(crate) fn settings(&self) -> Result<BudgetSettings, DriverError> {
        let mib = |what, value: u64| -> Result<u64, DriverError> {
            in_range(what, value, 1..=MIB_MAX).map_err(|e| e.in_unit("MiB"))?;
            Ok(value << 20)
        };
        if let Some(percent) = self.cpu_budget {
            in_range("--cpu-budget", percent, 1..=1_000_000).map_err(|e| e.in_unit("percent"))?;
        }
        let memory = self.memory_budget;
        let memory = memory.map(|value| mib("--memory-budget", value));
        Ok(BudgetSettings {
            memory_bytes: memory.transpose()?,
            descriptors: self.descriptor_budget,
            threads: self.thread_budget,
            disk_limit_bytes: mib("--disk-limit", self.disk_limit)?,
            cpu_percent: self.cpu_budget,
        })
    }
}
