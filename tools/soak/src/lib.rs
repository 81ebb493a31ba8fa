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
mod options;
mod planted;
mod room;
mod victims;

use measure_core::base::exit::Exit;

pub use error::SoakError;
pub use options::Options;

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
