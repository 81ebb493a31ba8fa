//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use measure_core::base::exit;
use structopt::StructOpt;

use crate::target::{Name, Setting};

const EXAMPLES: &str = "EXAMPLES:
    fuzz modules                                  # a short round, the same in every run
    fuzz modules --first 100000 --minutes 60 --jobs 2
    fuzz modules --seed 4711 --keep .             # one case again, and its module";

/// As the default of its option.
pub(crate) const SECOND_ENGINE_EVERY: u64 = 20;

/// Cases of a round that is not told how many.
const DEFAULT_COUNT: u64 = 200;

/// Tries random cases and says which of them went wrong, each with the command that tries it again. Ends with 1 if one
/// did.
#[derive(Debug, Clone, StructOpt)]
#[structopt(name = "fuzz", after_help = exit::after_help(EXAMPLES))]
pub struct Options {
    /// What to try: modules, calls, files or requests
    #[structopt(name = "TARGET")]
    pub(crate) target: Name,
    /// Only the case of this seed
    #[structopt(long, conflicts_with_all = &["first", "count", "minutes"])]
    pub(crate) seed: Option<u64>,
    /// The first seed of the round
    #[structopt(long, default_value = "0")]
    pub(crate) first: u64,
    /// So many cases [default: 200, or as many as the minutes allow]
    #[structopt(long)]
    pub(crate) count: Option<u64>,
    /// No case is begun after this time
    #[structopt(long)]
    pub(crate) minutes: Option<u64>,
    /// Processes at once
    #[structopt(long, default_value = "1")]
    pub(crate) jobs: usize,
    /// Keep what each case is made of in this directory
    #[structopt(long, parse(from_os_str), value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Every so many modules the second engine runs too; 0: none
    #[structopt(long, default_value = "20", value_name = "N")]
    pub(crate) second_engine_every: u64,
    /// Starts of each module that end by a deadline
    #[structopt(long, default_value = "10", value_name = "N")]
    pub(crate) deadline_starts: u64,
    /// A case that takes longer hangs, in seconds
    #[structopt(long, default_value = "300", value_name = "SECONDS")]
    pub(crate) hang: u64,
    /// Try the cases here, and tell by lines: what this program starts itself with
    #[structopt(long, hidden = true)]
    pub(crate) child: bool,
}

impl Options {
    pub(crate) fn setting(&self) -> Setting {
        Setting {
            keep: self.keep.clone(),
            second_engine_every: self.second_engine_every,
            deadline_starts: self.deadline_starts,
        }
    }

    pub(crate) fn first(&self) -> u64 {
        self.seed.unwrap_or(self.first)
    }

    pub(crate) fn count(&self) -> u64 {
        let unlimited = self.minutes.map(|_| u64::MAX - self.first());
        let one = self.seed.map(|_| 1);
        one.or(self.count).or(unlimited).unwrap_or(DEFAULT_COUNT)
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.hang)
    }
}
