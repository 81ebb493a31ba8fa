//! The Wasm rungs of the ladder, and the care of the function store and the network namespaces that they
//! use.

mod commands;
mod limits;
mod rung;
mod rungs;

use std::path::PathBuf;
use std::time::Duration;

use faaslet::{EngineSettings, Profiling, Store};
use measure_core::driver::{self, ContractCommand, DriverError};
use measure_core::exit::{Exit, after_help};
use measure_core::home;
use structopt::StructOpt;

use rungs::Faaslets;

const EXAMPLES: &str = "EXAMPLES:
    faasm-driver info
    faasm-driver time 100 --rung faaslet --function demo/noop
    faasm-driver time 1000 --rung faaslet-pooled --workers 2 --warmup 10
    faasm-driver hold 100 --rung faaslet            (until standard input closes)
    faasm-driver upload demo noop noop.wasm
    faasm-driver codegen
    faasm-driver netns 100
";

/// Runs functions as WebAssembly: bare, and in Faaslets
#[derive(Debug, StructOpt)]
#[structopt(name = "faasm-driver", after_help = after_help(EXAMPLES))]
pub struct Options {
    /// Function store [default: store/ below $FAASM_BENCH_HOME, or below build/ of the checkout]
    #[structopt(long, parse(from_os_str), global = true)]
    store: Option<PathBuf>,
    /// The most linear memory a Faaslet may have, in MiB (1 to 4096)
    #[structopt(long, default_value = "256", global = true)]
    memory_limit: u64,
    /// Seconds that a start may compute before it is trapped
    #[structopt(long, default_value = "10", global = true)]
    deadline: f64,
    #[structopt(subcommand)]
    command: Command,
}

#[derive(Debug, StructOpt)]
enum Command {
    #[structopt(flatten)]
    Contract(ContractCommand),
    /// Compiles functions of the store ahead of time, all of them unless some are named
    Codegen {
        /// user/function
        #[structopt(name = "USER/FUNCTION")]
        functions: Vec<String>,
    },
    /// Checks a WASI program and installs it in the store, compiled
    Upload {
        /// Whose function it is
        #[structopt(name = "USER")]
        user: String,
        /// Its name
        #[structopt(name = "FUNCTION")]
        function: String,
        /// The module (a binary .wasm file)
        #[structopt(name = "FILE", parse(from_os_str))]
        file: PathBuf,
    },
    /// Lists the functions of the store
    List,
    /// Makes the first N network namespaces of the pool, where they are missing (needs root)
    Netns {
        /// How many
        #[structopt(name = "N")]
        count: usize,
    },
    /// Removes the pool of network namespaces; touches nothing without our label
    NetnsClean,
}

/// What the options before the command say.
#[derive(Debug, Clone)]
struct Settings {
    store: Store,
    engine: EngineSettings,
}

impl Options {
    fn settings(&self) -> Result<Settings, DriverError> {
        if !(1..=4096).contains(&self.memory_limit) {
            return Err(DriverError::Usage(format!(
                "--memory-limit is {}, it must be 1 to 4096 (MiB)",
                self.memory_limit
            )));
        }
        let deadline = Duration::try_from_secs_f64(self.deadline)
            .ok()
            .filter(|d| (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(d))
            .ok_or_else(|| {
                DriverError::Usage(format!(
                    "--deadline is {}, it must be 0.001 to 86400 (seconds)",
                    self.deadline
                ))
            })?;
        Ok(Settings {
            store: Store::at(self.store.clone().unwrap_or_else(home::store)),
            engine: EngineSettings {
                memory_limit_bytes: self.memory_limit << 20,
                deadline,
                profiling: Profiling::from_env().map_err(|e| DriverError::Usage(e.to_string()))?,
                ..EngineSettings::default()
            },
        })
    }
}

/// Does what the command line says.
///
/// # Errors
/// Whatever keeps it from doing so; see the exit codes in `--help`.
pub fn run(options: Options) -> Result<Exit, DriverError> {
    let settings = options.settings()?;
    match options.command {
        Command::Contract(command) => driver::run(&Faaslets::new(settings), &command),
        Command::Codegen { functions } => commands::codegen(&settings, &functions),
        Command::Upload {
            user,
            function,
            file,
        } => commands::upload(&settings, &user, &function, &file),
        Command::List => commands::list(&settings),
        Command::Netns { count } => commands::netns(count),
        Command::NetnsClean => commands::netns_clean(),
    }
}
