//! `/proc`, opened once: small files of processes read with the fewest system calls.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::read;

use super::MemoryError;

/// Larger than any file read here: `smaps_rollup` has about 700 bytes, `stat` less.
const BUFFER_BYTES: usize = 4096;

/// `/proc` and what is reused from one read to the next.
#[derive(Debug)]
pub(crate) struct ProcDir {
    dir: OwnedFd,
    path: String,
    buffer: Box<[u8; BUFFER_BYTES]>,
}

impl ProcDir {
    pub fn open() -> Result<Self, MemoryError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open("/proc", flags, Mode::empty()).map_err(MemoryError::NoProc)?;
        Ok(Self {
            dir,
            path: String::with_capacity(32),
            buffer: Box::new([0; BUFFER_BYTES]),
        })
    }

    /// The start of `/proc/PID/FILE`, at most the buffer's size. One `read`: these files are made
    /// whole at the first.
    pub fn read(&mut self, pid: i32, file: &str) -> Result<&[u8], Errno> {
        self.path.clear();
        // Writing to a string does not fail.
        let _ = write!(self.path, "{pid}/{file}");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.dir, self.path.as_str(), flags, Mode::empty())?;
        let length = loop {
            match read(&file, &mut self.buffer[..]) {
                Err(Errno::EINTR) => {}
                length => break length?,
            }
        };
        Ok(&self.buffer[..length])
    }
}

/// Process ids of the host, ascending as the kernel lists them: a process that lives through the whole
/// listing is in it.
pub(crate) fn pids(into: &mut Vec<i32>) -> std::io::Result<()> {
    into.clear();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        into.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(())
}
