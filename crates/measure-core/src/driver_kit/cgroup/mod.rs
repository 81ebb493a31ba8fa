//! Cgroups of either version: making, joining and removing our own.
//!
//! On v1 (and hybrid) hosts each controller has a hierarchy and our groups lie at its root; those of memory below the caller's
//! group where that, or one above it, has a limit. On v2
//! there is one tree in which a group with processes cannot hand controllers to children ("no
//! internal processes"), except in threaded mode; so a group of controllers that know threads (cpu,
//! pids) lies below the caller's own group, any other beside it.

mod controller;
mod cpu_limits;
mod error;
mod group;
mod hierarchies;
mod joining;
mod orphans;
mod own_scope;
mod read;
mod tasks;

pub use controller::Controller;
pub use error::CgroupError;
pub use group::Group;
pub use hierarchies::{Hierarchies, MountedHierarchy};
pub use orphans::remove_orphans;
pub use own_scope::OwnScope;
pub use read::{processes, text};

#[cfg(test)]
mod tests;
