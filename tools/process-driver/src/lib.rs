//! The native rungs of the ladder: `thread`, `thread-pooled`, `process`, a rung for each command-line
//! runtime of runtimes.toml, and workerd's two. The first two isolate nothing and are the floor that every other rung is compared
//! with.
//!
//! One module per kind of rung.

pub mod native;
pub mod pooled;
pub mod process;
pub mod runtimes;
pub mod store;
pub mod thread;
pub mod workerd;

mod answer;
mod blocked;
mod child;
mod handler;
mod parking;
mod scope;

use std::path::PathBuf;

use measure_core::base::exit::{Exit, after_help};
use measure_core::base::home;
use measure_core::base::ids;
use measure_core::driver_kit::{self, Cleaned, ContractCommand, Driver, DriverError, Rung};
use structopt::StructOpt;

use crate::pooled::PooledRung;
use crate::process::ProcessRung;
use crate::runtimes::{Catalogue, RuntimeRung};
use crate::store::Store;
use crate::thread::ThreadRung;
use crate::workerd::WorkerdRung;

const EXAMPLES: &str = "EXAMPLES:
    process-driver info                                  what can run here
    process-driver time 1000 --rung thread               a thousand starts, a JSON line each
    process-driver time 100 --rung process --workers 2 --warmup 5
    process-driver time 100 --rung process --function polybench/poly_3mm
    process-driver time 20 --rung runc                   a runtime of runtimes.toml
    process-driver --runtimes my.toml time 20 --rung mine
    process-driver hold 500 --rung process               park 500 processes until standard input closes
    process-driver clean                                 remove what killed runs left
";

/// Runs functions on threads, in processes, and by any command-line runtime
#[derive(Debug, StructOpt)]
#[structopt(name = "process-driver", after_help = after_help(EXAMPLES))]
pub struct Options {
    /// Function store [default: store/ below $FAASM_BENCH_HOME, or below build/ of the checkout]
    #[structopt(long, parse(from_os_str), global = true, name = "DIR")]
    store: Option<PathBuf>,
    /// Runtimes beside the shipped ones [default: $FAASM_BENCH_RUNTIMES, else ~/.config/faasm-bench/runtimes.toml]
    #[structopt(long, parse(from_os_str), global = true, name = "FILE")]
    runtimes: Option<PathBuf>,
    #[structopt(subcommand)]
    command: ContractCommand,
}

/// Rungs that are no entries of a file.
const NATIVE: [&str; 3] = [thread::ID, pooled::ID, process::ID];
/// After the entries, as they are slower than most.
const WORKERD: [&str; 2] = [workerd::PROCESS, workerd::WORKER];
/// Ids that no entry may have.
const TAKEN: [&str; 5] = [
    thread::ID,
    pooled::ID,
    process::ID,
    workerd::PROCESS,
    workerd::WORKER,
];

struct Natives {
    store: Store,
    catalogue: Catalogue,
}

impl Driver for Natives {
    fn name(&self) -> &'static str {
        env!("CARGO_PKG_NAME")
    }

    fn rungs(&self) -> Vec<String> {
        let entries = self.catalogue.entries().iter().map(|entry| &*entry.id);
        NATIVE
            .into_iter()
            .chain(entries)
            .chain(WORKERD)
            .map(str::to_owned)
            .collect()
    }

    fn open(&self, id: &str) -> Result<Box<dyn Rung>, DriverError> {
        Ok(match id {
            thread::ID => Box::new(ThreadRung::default()),
            pooled::ID => Box::new(PooledRung::default()),
            process::ID => Box::new(ProcessRung::new(self.store.clone())),
            workerd::PROCESS | workerd::WORKER => {
                Box::new(WorkerdRung::new(id, self.store.clone()))
            }
            _ => match self.catalogue.entry(id) {
                Some(entry) => Box::new(RuntimeRung::new(entry.clone(), self.store.clone())),
                None => return Err(DriverError::Usage(ids::unknown("rung", id, &self.rungs()))),
            },
        })
    }

    fn clean(&self) -> Result<Cleaned, DriverError> {
        Ok(Cleaned {
            removed: runtimes::remove_orphans(),
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
        catalogue: Catalogue::load(options.runtimes.as_deref(), &TAKEN)?,
    };
    driver_kit::run(&natives, &options.command)
}
