//! PSS, USS, RSS and swap of process trees, once or over time: the command line over
//! [`probes::memory`].

mod error;
mod once;
mod options;
mod output;
mod series;
mod targets;

pub use error::WalkerError;
pub use options::Options;

use measure_core::base::exit::Exit;
use probes::memory::Sampler;

use targets::Targets;

/// Beyond a few threads the kernel's own locks set the pace.
const MAX_THREADS: usize = 4;

/// Does what the command line asks for.
///
/// # Errors
/// A target does not exist or none may be read, or the output cannot be written.
pub fn run(options: &Options) -> Result<Exit, WalkerError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let mut sampler = Sampler::new()?.with_threads(threads)?;
    let targets = Targets::resolve(options, &mut sampler)?;
    if options.over_time() {
        series::run(options, &targets, &mut sampler)
    } else {
        once::run(options, &targets, &mut sampler)
    }
}
