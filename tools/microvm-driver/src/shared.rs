//! What every rung of this driver has in common, whoever its monitor is: the scope's group, what may be lacking, and two
//! errors.

use measure_core::contract::Probe;
use measure_core::driver_kit::DriverError;

/// Name of this driver's scope group.
pub(crate) const SCOPE: &str = "microvm-driver";

/// What this host lacks, and what to do about it.
#[derive(Debug)]
pub struct Lack {
    why: String,
    mend: String,
}

impl Lack {
    pub(crate) fn new(why: impl Into<String>, mend: impl Into<String>) -> Self {
        let (why, mend) = (why.into(), mend.into());
        Self { why, mend }
    }
}

impl From<Lack> for Probe {
    fn from(Lack { why, mend }: Lack) -> Self {
        Self::Unavailable { why, mend }
    }
}

impl From<Lack> for DriverError {
    fn from(Lack { why, mend }: Lack) -> Self {
        Self::Unavailable { why, mend }
    }
}

/// A start was asked for before [`Rung::prepare`](measure_core::driver_kit::Rung::prepare).
pub(crate) fn unprepared() -> DriverError {
    DriverError::Failed("the rung is not prepared".into())
}

/// The failure of a function to stay.
pub(crate) fn ended_while_held(function: &str) -> DriverError {
    DriverError::StartFailed(format!(
        "{function} ended instead of staying blocked: only a function that blocks can be held, such as demo/park"
    ))
}
