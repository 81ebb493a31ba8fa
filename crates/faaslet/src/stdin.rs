//! Standard input that many programs can be blocked on, and that says when they are.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::{Errno, read};

/// A descriptor to read from, and how many reads of it had to wait.
#[derive(Debug)]
pub struct Stdin {
    fd: OwnedFd,
    waited: AtomicUsize,
}

impl Stdin {
    /// Reads from `fd`.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Arc<Self> {
        Arc::new(Self {
            fd,
            waited: AtomicUsize::new(0),
        })
    }

    /// A pipe: the programs' end, and ours; dropping ours is their end of file.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn pipe() -> io::Result<(Arc<Self>, File)> {
        let (read, write) = io::pipe()?;
        Ok((Self::new(read.into()), OwnedFd::from(write).into()))
    }

    /// How many reads found nothing and went to wait, so far.
    #[must_use]
    pub fn waited(&self) -> usize {
        self.waited.load(Ordering::Acquire)
    }

    pub(crate) fn will_wait(&self) {
        self.waited.fetch_add(1, Ordering::Release);
    }

    /// Waits until nothing more comes; what does come is for nobody.
    pub(crate) fn wait_for_end(&self) {
        let mut rest = [0; 64];
        while !matches!(
            read(&self.fd, &mut rest),
            Ok(0) | Err(Errno::IO | Errno::BADF)
        ) {}
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
