//! Looks for what breaks: random modules by all engines, random calls of WASI, damaged files for every reader of what
//! others wrote, damaged requests to the upload server.
//!
//! A case follows from its seed alone, and is tried in a process of its own kind: one that dies, hangs, panics or takes
//! too much memory is a finding like any other, named by target and seed.

mod broken;
mod calls;
mod campaign;
mod child;
mod error;
mod files;
mod lines;
mod modules;
mod requests;
mod seed;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::exit::{self, Exit};
use measure_core::base::interrupt;
use structopt::StructOpt;

pub use error::FuzzError;
pub use target::{Name, UnknownTarget};

use target::Setting;

const EXAMPLES: &str = "EXAMPLES:
    fuzz modules                                  # a short round, the same in every run
    fuzz modules --first 100000 --minutes 60 --jobs 2
    fuzz modules --seed 4711 --keep .             # one case again, and its module";

/// As the default of its option.
const SECOND_ENGINE_EVERY: u64 = 20;
/// Cases of a round that is not told how many.
const DEFAULT_COUNT: u64 = 200;

/// Tries random cases and says which of them went wrong, each with the command that tries it again. Ends with 1 if one
/// did.
#[derive(Debug, Clone, StructOpt)]
#[structopt(name = "fuzz", after_help = exit::after_help(EXAMPLES))]
pub struct Options {
    /// What to try: modules, calls, files or requests
    #[structopt(name = "TARGET")]
    target: Name,
    /// Only the case of this seed
    #[structopt(long, conflicts_with_all = &["first", "count", "minutes"])]
    seed: Option<u64>,
    /// The first seed of the round
    #[structopt(long, default_value = "0")]
    first: u64,
    /// So many cases [default: 200, or as many as the minutes allow]
    #[structopt(long)]
    count: Option<u64>,
    /// No case is begun after this time
    #[structopt(long)]
    minutes: Option<u64>,
    /// Processes at once
    #[structopt(long, default_value = "1")]
    jobs: usize,
    /// Keep what each case is made of in this directory
    #[structopt(long, parse(from_os_str), value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Every so many modules the second engine runs too; 0: none
    #[structopt(long, default_value = "20", value_name = "N")]
    second_engine_every: u64,
    /// Starts of each module that end by a deadline
    #[structopt(long, default_value = "10", value_name = "N")]
    deadline_starts: u64,
    /// A case that takes longer hangs, in seconds
    #[structopt(long, default_value = "300", value_name = "SECONDS")]
    hang: u64,
    /// Try the cases here, and tell by lines: what this program starts itself with
    #[structopt(long, hidden = true)]
    child: bool,
}

impl Options {
    fn setting(&self) -> Setting {
        Setting {
            keep: self.keep.clone(),
            second_engine_every: self.second_engine_every,
            deadline_starts: self.deadline_starts,
        }
    }

    fn first(&self) -> u64 {
        self.seed.unwrap_or(self.first)
    }

    fn count(&self) -> u64 {
        let unlimited = self.minutes.map(|_| u64::MAX - self.first());
        let one = self.seed.map(|_| 1);
        one.or(self.count).or(unlimited).unwrap_or(DEFAULT_COUNT)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.hang)
    }
}

/// Makes a round.
///
/// # Errors
/// There can be none; what it finds is its exit code.
pub fn run(options: &Options) -> Result<Exit, FuzzError> {
    if options.child {
        return child::run(options);
    }
    if options.jobs == 0 {
        return Err(FuzzError::Usage("--jobs must be at least 1".to_owned()));
    }
    interrupt::install().map_err(FuzzError::Signals)?;
    campaign::run(options)
}
