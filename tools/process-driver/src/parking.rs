//! The pipe that parked workers wait on: they are released, all at once, when its other end closes,
//! which the kernel does too if this process is killed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use measure_core::driver_kit::DriverError;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// The driver's end and the workers' end.
#[derive(Debug)]
pub(crate) struct Parking {
    stdin: Arc<OwnedFd>,
    _open: OwnedFd,
}

impl Parking {
    pub(crate) fn open() -> Result<Self, DriverError> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)
            .map_err(|e| DriverError::failed("no pipe for parked workers", e))?;
        Ok(Self {
            stdin: Arc::new(read),
            _open: write,
        })
    }

    /// What the workers read, for processes.
    pub(crate) fn stdin(&self) -> BorrowedFd<'_> {
        self.stdin.as_fd()
    }

    /// What the workers read, for threads, which may outlive this.
    pub(crate) fn shared_stdin(&self) -> Arc<OwnedFd> {
        self.stdin.clone()
    }
}
