//! The scope of this driver's starts.

use measure_core::driver_kit::cgroup::OwnScope;

/// Name of its group.
const SCOPE: &str = "process-driver";

/// Has this process, and what it starts, in the scope until it is dropped.
pub(crate) fn enter() -> OwnScope {
    OwnScope::enter(SCOPE)
}
