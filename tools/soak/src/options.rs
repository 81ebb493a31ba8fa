//! The command line.

use measure_core::base::exit;
use structopt::StructOpt;

use crate::room;

const EXAMPLES: &str = "EXAMPLES:
    soak                          # 200 kills, of everything that can run here
    soak --kills 20 --quick       # as `make test` does
    soak --seed 7 --first 41 --kills 1   # one kill again
    soak --hour                   # an hour at full rate; --minutes N for another time";

/// Kills drivers and runtime_bench at random moments and looks for what is left, or runs drivers at full rate and looks for
/// what grows (root). Ends with 1 if something was found.
#[derive(Debug, Clone, StructOpt)]
#[structopt(name = "soak", after_help = exit::after_help(EXAMPLES))]
pub struct Options {
    /// How many kills [default: 200]
    #[structopt(long, conflicts_with_all = &["hour", "minutes"])]
    pub(crate) kills: Option<u64>,
    /// The first kill of this seed, to make one again
    #[structopt(long, default_value = "0", value_name = "KILL")]
    pub(crate) first: u64,
    /// What moments and victims are drawn from [default: from the clock; it is printed]
    #[structopt(long)]
    pub(crate) seed: Option<u64>,
    /// Without docker and emulators
    #[structopt(long)]
    pub(crate) quick: bool,
    /// Only victims whose command line contains this
    #[structopt(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Run at full rate for an hour instead
    #[structopt(long, conflicts_with = "minutes")]
    pub(crate) hour: bool,
    /// Run at full rate for so many minutes instead, at least 2: the first one does not count
    #[structopt(long)]
    pub(crate) minutes: Option<u64>,
    /// After each kill leave one thing of each kind, and take one of others: to see that this is found
    #[structopt(long, hidden = true)]
    pub(crate) leave: bool,
    /// Which part of this program runs: what it starts itself with
    #[structopt(long, hidden = true)]
    pub(crate) stage: Option<room::Stage>,
}

/// As the help says.
const DEFAULT_KILLS: u64 = 200;

impl Options {
    pub(crate) fn kills(&self) -> u64 {
        self.kills.unwrap_or(DEFAULT_KILLS)
    }

    /// Minutes at full rate, if that is asked for.
    pub(crate) fn full_rate_minutes(&self) -> Option<u64> {
        self.hour.then_some(60).or(self.minutes)
    }
}
