//! Options of every command.

use std::time::Duration;

use measure_core::base::range::in_range;
use measure_core::driver_kit::DriverError;
use structopt::StructOpt;

// Options of every command.
// Not a doc comment: that of what is flattened would be the tool's own in --help.
#[derive(Debug, Clone, StructOpt)]
pub struct Options {
    /// Use this running engine (unix://PATH or tcp://HOST:PORT) instead of one of the driver's own; other
    /// containers in it are reported and left alone
    #[structopt(long, global = true, name = "URL")]
    pub docker_host: Option<String>,
    /// How long one call of the engine's API may take
    #[structopt(long, global = true, default_value = "120", name = "SECONDS")]
    pub api_timeout: u64,
    /// How many containers are started, or released, at once by `hold`
    #[structopt(long, global = true, default_value = "4", name = "COUNT")]
    pub park_at_once: usize,
}

impl Options {
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.api_timeout)
    }

    pub(crate) fn check(&self) -> Result<(), DriverError> {
        in_range("--api-timeout", self.api_timeout, 1..=3600)?;
        in_range("--park-at-once", self.park_at_once, 1..=64)?;
        Ok(())
    }
}
