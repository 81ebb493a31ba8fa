//! The native rungs of the ladder: `thread`, `thread-pooled`, `process`. The first two isolate nothing and
//! are the floor that every other rung is compared with.
//!
//! One module per kind of rung; a command-line runtime will be one more.

pub mod native;
pub mod pooled;
pub mod process;
pub mod spawn;
pub mod store;
pub mod thread;

mod blocked;
mod parking;

use std::path::PathBuf;

use measure_core::cgroup;
use measure_core::driver::{self, Cleaned, ContractCommand, Driver, DriverError, Rung};
use measure_core::exit::{Exit, after_help};
use measure_core::home;
use structopt::StructOpt;

use crate::pooled::PooledRung;
use crate::process::ProcessRung;
use crate::store::Store;
use crate::thread::ThreadRung;

const EXAMPLES: &str = "EXAMPLES:
    process-driver info                                  what can run here
    process-driver time 1000 --rung thread               a thousand starts, a JSON line each
    process-driver time 100 --rung process --workers 2 --warmup 5
    process-driver time 100 --rung process --function polybench/poly_3mm
    process-driver hold 500 --rung process               park 500 processes until standard input closes
    process-driver clean                                 remove what killed runs left
";

/// Runs functions natively: on a new thread, on a waiting thread, in a process
#[derive(Debug, StructOpt)]
#[structopt(name = "process-driver", after_help = after_help(EXAMPLES))]
pub struct Options {
    /// Function store [default: store/ below $FAASM_BENCH_HOME, or below build/ of the checkout]
    #[structopt(long, parse(from_os_str), global = true, name = "DIR")]
    store: Option<PathBuf>,
    #[structopt(subcommand)]
    command: ContractCommand,
}

/// Name of this driver's scope group.
const SCOPE: &str = "process-driver";

struct Natives {
    store: Store,
}

impl Driver for Natives {
    fn name(&self) -> &'static str {
        env!("CARGO_PKG_NAME")
    }

    fn rungs(&self) -> Vec<String> {
        [thread::ID, pooled::ID, process::ID]
            .map(str::to_owned)
            .to_vec()
    }

    fn open(&self, id: &str) -> Result<Box<dyn Rung>, DriverError> {
        Ok(match id {
            thread::ID => Box::new(ThreadRung::default()),
            pooled::ID => Box::new(PooledRung::default()),
            _ => Box::new(ProcessRung::new(self.store.clone())),
        })
    }

    fn clean(&self) -> Result<Cleaned, DriverError> {
        let removed = cgroup::remove_orphans();
        Ok(Cleaned {
            removed: removed
                .into_iter()
                .map(|dir| format!("cgroup {dir}"))
                .collect(),
        })
    }
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: Options) -> Result<Exit, DriverError> {
    let natives = Natives {
        store: Store::at(options.store.unwrap_or_else(home::store)),
    };
    driver::run(&natives, &options.command)
}
