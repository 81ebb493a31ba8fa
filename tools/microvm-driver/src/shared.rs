//! What every rung of this driver has in common, whoever its monitor is: the scope's group and two errors.

use measure_core::driver_kit::DriverError;

/// Name of this driver's scope group.
pub(crate) const SCOPE: &str = "microvm-driver";

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
