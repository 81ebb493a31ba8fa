//! The calling process as a scope that a sampler outside can read.

use nix::unistd::getpid;

use super::CgroupError;
use super::controller::Controller;
use super::group::Group;
use crate::base::label;
use crate::contract::Scope;

/// This process in a group of its own, so that its CPU time, memory and I/O can be read from
/// outside, exited threads and children included. Drop moves it back and removes the group.
#[derive(Debug)]
pub struct OwnScope {
    group: Option<Group>,
    notes: Vec<String>,
}

impl OwnScope {
    /// Moves this process, with all its threads, into the new group `what` in cpuacct, memory, blkio
    /// and unified, as far as that can be had; [`Self::notes`] says what could not. Children started
    /// from here on are in it too. Memory that was charged before stays with the old group.
    #[must_use]
    pub fn enter(what: &str) -> Self {
        let pid = getpid().as_raw();
        let wanted = [
            Controller::Cpuacct,
            Controller::Memory,
            Controller::Blkio,
            Controller::Unified,
        ];
        match Group::create_where_possible(&label::name(pid, what), &wanted) {
            Ok(mut group) => {
                let mut notes: Vec<String> = group
                    .missing()
                    .iter()
                    .map(|(controller, why)| format!("no {controller} group: {why}"))
                    .collect();
                notes.extend(group.enter_where_possible(pid));
                Self {
                    group: Some(group),
                    notes,
                }
            }
            Err(error) => Self {
                group: None,
                notes: vec![error.to_string()],
            },
        }
    }

    /// The scope: this process and its descendants, and the groups that hold them. What could not be
    /// had is added to `includes`.
    #[must_use]
    pub fn scope(&self, includes: &str) -> Scope {
        let mut includes = includes.to_owned();
        for note in &self.notes {
            includes.push_str("; ");
            includes.push_str(note);
        }
        Scope {
            roots: vec![getpid().as_raw()],
            cgroups: self.group.as_ref().map(Group::dirs).unwrap_or_default(),
            includes,
            ..Scope::default()
        }
    }

    /// What could not be had, and why.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The group, if any hierarchy would have it.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// Moves back and removes the group now.
    ///
    /// # Errors
    /// The group could not be removed.
    pub fn leave(mut self) -> Result<(), CgroupError> {
        self.group.take().map_or(Ok(()), Group::remove)
    }
}
