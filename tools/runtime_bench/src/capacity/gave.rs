//! What ended a ramp.

use probes::kernel_limits::KernelLimit;

use crate::error::SessionError;

/// What gave, or why no more were parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gave {
    /// Nothing: as many are parked as were asked for.
    Until,
    /// One more start takes too long.
    SlowStart(String),
    /// One more cannot be started.
    FailedStart(String),
    /// Memory fell to its floor, or would with the next.
    Memory(String),
    /// The host began to swap.
    Swap(String),
    /// A limit of the kernel is near.
    Limit(KernelLimit),
    /// A driver with parked workers, or that starts one more, is gone.
    DriverDied(String),
    /// A signal came to us.
    Interrupted,
}

impl Gave {
    /// What the failure of a driver says, of which a single worker, or start, was asked.
    pub(super) fn from_session(error: &SessionError) -> Self {
        match error {
            SessionError::Interrupted(_) => Self::Interrupted,
            SessionError::GivenUp(why) => Self::Memory(why.clone()),
            SessionError::Died { .. } | SessionError::Stuck { .. } => {
                Self::DriverDied(error.to_string())
            }
            other => Self::FailedStart(other.to_string()),
        }
    }

    /// Its word in the records.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Until => "until",
            Self::SlowStart(_) => "slow-start",
            Self::FailedStart(_) => "failed-start",
            Self::Memory(_) => "memory",
            Self::Swap(_) => "swap",
            Self::Limit(_) => "limit",
            Self::DriverDied(_) => "driver-died",
            Self::Interrupted => "interrupted",
        }
    }

    /// What gave, with the kernel's number and how to raise it where there is one.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Until => "nothing gave: as many as were asked for".to_owned(),
            Self::SlowStart(words) | Self::Memory(words) | Self::Swap(words) => words.clone(),
            Self::FailedStart(words) => format!("one more could not be started: {words}"),
            Self::Limit(limit) => format!("{limit}; {}", limit.bounded.how_to_raise()),
            Self::DriverDied(words) => format!(
                "{words}; where the kernel's log says so, for want of memory: raise --floor"
            ),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }
}
