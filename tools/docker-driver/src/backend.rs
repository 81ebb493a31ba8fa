//! Whose engine a rung works with.

use std::path::PathBuf;

use crate::engine::Engine;
use crate::foreign::Foreign;

/// Whose engine it is.
#[derive(Debug)]
pub enum Backend {
    /// The driver's own.
    Private(Engine),
    /// Someone else's.
    Foreign(Foreign),
}

impl Backend {
    /// The cgroup parent of containers, where it is not the engine's default.
    #[must_use]
    pub fn cgroup_parent(&self) -> Option<String> {
        match self {
            Self::Private(_) => None,
            Self::Foreign(foreign) => foreign.cgroup_parent(),
        }
    }

    /// The groups of the containers, one below for each.
    pub(crate) fn container_groups(&self) -> Option<PathBuf> {
        let of = |controller: &str| match self {
            Self::Private(engine) => engine.container_groups(controller),
            Self::Foreign(foreign) => foreign.container_groups(controller),
        };
        ["memory", "unified"].into_iter().find_map(of)
    }
}
