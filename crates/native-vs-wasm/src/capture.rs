//! What a program writes, kept in memory: the same kind of file for every column, so that writing costs the
//! same, and no reader that has to keep up.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

/// A memory file of a fixed size, empty pages of which take no memory; writing beyond it fails, so that a
/// program gone wild does not fill the memory.
#[derive(Debug)]
pub struct Capture {
    fd: Arc<OwnedFd>,
    file: File,
}

impl Capture {
    /// Takes at most `limit_bytes`.
    ///
    /// # Errors
    /// No memory file to be had.
    pub fn new(limit_bytes: u32) -> io::Result<Self> {
        let file = File::from(memfd_create(
            "output",
            MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
        )?);
        ftruncate(&file, i64::from(limit_bytes))?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW))?;
        Ok(Self {
            fd: Arc::new(file.try_clone()?.into()),
            file,
        })
    }

    /// The descriptor to write to. Its copies share one position.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The same for those who keep it.
    #[must_use]
    pub fn shared(&self) -> Arc<OwnedFd> {
        self.fd.clone()
    }

    /// Takes what was written since the last time.
    ///
    /// # Errors
    /// The kernel refuses to read it.
    pub fn take(&mut self) -> io::Result<Vec<u8>> {
        let written = self.file.stream_position()?;
        let mut bytes = vec![0; usize::try_from(written).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        self.file.seek(SeekFrom::Start(0))?;
        if let Ok(length @ 1..) = i64::try_from(written) {
            let free = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            fallocate(&self.file, free, 0, length)?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_written_is_taken_once() {
        let mut capture = Capture::new(1 << 20).expect("a memory file");
        let mut other = File::from(capture.fd().try_clone_to_owned().expect("a copy"));
        assert!(capture.take().expect("read").is_empty());
        for text in ["first", "second, longer", "3"] {
            other.write_all(text.as_bytes()).expect("written");
            assert_eq!(capture.take().expect("read"), text.as_bytes());
        }
        assert!(capture.take().expect("read").is_empty());
    }

    #[test]
    fn a_program_gone_wild_is_stopped() {
        let mut capture = Capture::new(4096).expect("a memory file");
        let mut other = File::from(capture.fd().try_clone_to_owned().expect("a copy"));
        assert!(other.write_all(&[b'x'; 5000]).is_err());
        assert!(capture.take().expect("read").len() <= 4096);
        other.write_all(b"again").expect("room again");
        assert_eq!(capture.take().expect("read"), b"again");
    }
}
