//! A start under way.

use measure_core::driver_kit::spawn::Child;

/// A start under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) worker: usize,
    pub(super) name: String,
}
