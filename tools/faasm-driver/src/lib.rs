//! The Wasm rungs of the ladder, and the care of the function store and the network namespaces that they
//! use.

mod answers;
mod budget;
mod commands;
mod driver;
mod limits;
mod remote;
mod rung;
mod rungs;
mod second_engine;
mod serve;
mod settings;
mod snapshot;
mod token;
mod uploads;

use std::path::PathBuf;
use std::time::Duration;

use faaslet::{CompileLimits, EngineSettings, Profiling, Store};
use measure_core::base::exit::{Exit, after_help};
use measure_core::base::home;
use measure_core::base::range::in_range;
use measure_core::driver_kit::{self, ContractCommand, DriverError};
use structopt::StructOpt;

use budget::BudgetOptions;
use driver::Faaslets;
use second_engine::SecondEngine;
use serve::ServeOptions;
use settings::Settings;
use snapshot::{GrantOptions, SnapshotFlags};
use uploads::{UploadAllOptions, UploadOptions};

const EXAMPLES: &str = "EXAMPLES:
    faasm-driver info
    faasm-driver time 100 --rung faaslet --function demo/noop
    faasm-driver time 1000 --rung faaslet-pooled --workers 2 --warmup 10
    faasm-driver hold 100 --rung faaslet            (until standard input closes)
    faasm-driver upload demo noop noop.wasm
    faasm-driver upload-all build/wasm              (build/wasm/<user>/<function>.wasm)
    faasm-driver serve                              (upload --host 127.0.0.1:8080 ... uses it)
    faasm-driver codegen
    faasm-driver codegen --snapshot demo/sieve
    faasm-driver codegen --llvm demo/sieve          (by wasm2c and clang, for the rungs ...-llvm)
    faasm-driver grant demo/reader --dir /srv/texts::/texts --env LANG=C
    faasm-driver grant demo/fetch --network host.internal:6379
    faasm-driver key-value                          (what demo/fetch asks)
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
    #[structopt(flatten)]
    budget: BudgetOptions,
    /// Seconds of CPU time that compiling one module may take [default: $FAASM_BENCH_COMPILE_SECONDS, else 10 and 5 more for each MiB begun]
    #[structopt(long, global = true, value_name = "SECONDS")]
    compile_seconds: Option<u64>,
    /// MiB of memory that compiling one module may take [default: $FAASM_BENCH_COMPILE_MEMORY, else 256 and 64 times the module's size]
    #[structopt(long, global = true, value_name = "MIB")]
    compile_memory: Option<u64>,
    #[structopt(subcommand)]
    command: Command,
}

#[derive(Debug, StructOpt)]
enum Command {
    #[structopt(flatten)]
    Contract(ContractCommand),
    /// Compiles functions of the store ahead of time, all of them unless some are named, or takes their snapshots
    Codegen {
        #[structopt(flatten)]
        snapshot: SnapshotFlags,
        /// Compiles them by wasm2c and clang too, for the rungs whose name ends in -llvm: seconds, or minutes for what has MiB
        #[structopt(long, requires = "USER/FUNCTION")]
        llvm: bool,
        /// user/function
        #[structopt(name = "USER/FUNCTION")]
        functions: Vec<String>,
    },
    /// Checks a WASI program and installs it, compiled, in the store or through an upload server
    Upload(UploadOptions),
    /// The same for every <user>/<function>.wasm below a directory; skips what is there already
    UploadAll(UploadAllOptions),
    /// Runs the upload server, PUT and GET /f/<user>/<function>, until a signal comes
    Serve(ServeOptions),
    /// Says what a function is given at each start: arguments, environment, directories, network
    Grant(GrantOptions),
    /// Lists the functions of the store
    List,
    /// Answers demo/fetch at this host's loopback, as a key-value server of one key, until a signal comes
    KeyValue {
        /// Where
        #[structopt(long, name = "PORT", default_value = "6379")]
        port: u16,
    },
    /// Makes the first N network namespaces of the pool, where they are missing (needs root)
    Netns {
        /// How many
        #[structopt(name = "N")]
        count: usize,
    },
    /// Removes the pool of network namespaces; touches nothing without our label
    NetnsClean,
}

impl Options {
    fn compile_limits(&self) -> Result<CompileLimits, DriverError> {
        let from_env = CompileLimits::from_env().map_err(|e| DriverError::Usage(e.to_string()))?;
        if let Some(seconds) = self.compile_seconds {
            in_range("--compile-seconds", seconds, 1..=1_000_000)
                .map_err(|e| e.in_unit("seconds"))?;
        }
        if let Some(mib) = self.compile_memory {
            in_range("--compile-memory", mib, 1..=1_000_000).map_err(|e| e.in_unit("MiB"))?;
        }
        Ok(CompileLimits {
            cpu_time: self
                .compile_seconds
                .map(Duration::from_secs)
                .or(from_env.cpu_time),
            memory_bytes: self
                .compile_memory
                .map(|mib| mib << 20)
                .or(from_env.memory_bytes),
        })
    }

    fn settings(&self) -> Result<Settings, DriverError> {
        in_range("--memory-limit", self.memory_limit, 1..=4096).map_err(|e| e.in_unit("MiB"))?;
        in_range("--deadline", self.deadline, 0.001..=86_400.0)
            .map_err(|e| e.in_unit("seconds"))?;
        let compile = self.compile_limits()?;
        Ok(Settings {
            second_engine: SecondEngine::new(compile.clone()),
            compile,
            store: Store::at(self.store.clone().unwrap_or_else(home::store)),
            engine: EngineSettings {
                memory_limit_bytes: self.memory_limit << 20,
                deadline: Duration::from_secs_f64(self.deadline),
                budget: self.budget.settings()?,
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
        Command::Contract(command) => driver_kit::run(&Faaslets::new(settings), &command),
        Command::Codegen {
            snapshot,
            llvm,
            functions,
        } => commands::codegen(&settings, &snapshot, llvm, &functions),
        Command::Grant(grant) => snapshot::grant(&settings, &grant),
        Command::Upload(upload) => uploads::upload(&settings, &upload),
        Command::UploadAll(upload) => uploads::upload_all(&settings, &upload),
        Command::Serve(serve) => serve::run(&settings, &serve),
        Command::List => commands::list(&settings),
        Command::KeyValue { port } => commands::key_value(port),
        Command::Netns { count } => commands::netns(count),
        Command::NetnsClean => commands::netns_clean(),
    }
}
