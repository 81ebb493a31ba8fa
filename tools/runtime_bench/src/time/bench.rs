//! What is at hand while rungs are measured.

use std::time::{Duration, Instant};

use measure_core::base::progress::Progress;

use super::watch::Watched;
use crate::plan::Sizes;
use crate::recorder::Recorder;
use crate::session::Job;
use crate::trouble::Trouble;

/// What is at hand while rungs are measured.
pub(super) struct Bench<'r> {
    pub recorder: &'r mut Recorder,
    pub progress: Progress,
    pub trouble: Trouble,
    pub job: Job<'r>,
    pub sizes: &'r Sizes,
    pub begun: Instant,
    /// What the rounds before a run was cut short took.
    pub elapsed: Duration,
    pub watched: Watched,
    /// From 0.
    pub round: u64,
}

/// What `each` of several that share `all` has of it.
pub(super) fn equal_share(all: Duration, among: usize) -> Duration {
    all / u32::try_from(among.max(1)).unwrap_or(u32::MAX)
}
