//! Two campaigns against what a run may leave behind or pile up.
//!
//! The first kills each driver and `runtime_bench` by SIGKILL at random moments, lets the next run or `clean` follow, and
//! then compares a census of everything that a process can leave on a host with the one before. The second runs drivers at
//! full rate for minutes and fits lines to their memory, descriptors, cgroups and slabs.
//!
//! Both happen in a room of their own (namespaces of mounts, network and cgroups), so that a census is exact on a
//! host where others work, and nothing outlives the campaign.

mod campaign;
mod census;
mod error;
mod level;
mod planted;
mod room;
mod victims;

use measure_core::base::exit::{self, Exit};
use structopt::StructOpt;

pub use error::SoakError;

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
    kills: Option<u64>,
    /// The first kill of this seed, to make one again
    #[structopt(long, default_value = "0", value_name = "KILL")]
    first: u64,
    /// What moments and victims are drawn from [default: from the clock; it is printed]
    #[structopt(long)]
    seed: Option<u64>,
    /// Without docker and emulators
    #[structopt(long)]
    quick: bool,
    /// Only victims whose command line contains this
    #[structopt(long, value_name = "TEXT")]
    only: Option<String>,
    /// Run at full rate for an hour instead
    #[structopt(long, conflicts_with = "minutes")]
    hour: bool,
    /// Run at full rate for so many minutes instead, at least 2: the first one does not count
    #[structopt(long)]
    minutes: Option<u64>,
    /// After each kill leave one thing of each kind, and take one of others: to see that this is found
    #[structopt(long, hidden = true)]
    leave: bool,
    /// Which part of this program runs: what it starts itself with
    #[structopt(long, hidden = true)]
    stage: Option<room::Stage>,
}

/// As the help says.
const DEFAULT_KILLS: u64 = 200;

impl Options {
    fn kills(&self) -> u64 {
        self.kills.unwrap_or(DEFAULT_KILLS)
    }

    /// Minutes at full rate, if that is asked for.
    fn full_rate_minutes(&self) -> Option<u64> {
        self.hour.then_some(60).or(self.minutes)
    }
}

/// Makes a campaign.
///
/// # Errors
/// It cannot be made here; what it finds is its exit code.
pub fn run(options: &Options) -> Result<Exit, SoakError> {
    if options.minutes.is_some_and(|minutes| minutes < 2) {
        let why = "--minutes must be at least 2: the first minute does not count";
        return Err(SoakError::Usage(why.to_owned()));
    }
    match options.stage {
        None => room::enter(),
        Some(room::Stage::Join) => room::join(),
        Some(room::Stage::Init) => room::init(),
        Some(room::Stage::Campaign) => {
            room::follow()?;
            match options.full_rate_minutes() {
                Some(minutes) => level::run(minutes),
                None => campaign::run(options),
            }
        }
    }
}
