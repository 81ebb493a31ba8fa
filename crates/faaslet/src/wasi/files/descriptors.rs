//! The table of one program's descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::listing::Listing;
use crate::wasi::errno::Errno;
use crate::wasi::memory::Answer;

/// A program may have this many open at once, its streams and granted directories included: the usual limit of a
/// process, kept per program because all Faaslets of a worker share the process's.
pub(super) const DESCRIPTORS_MAX: usize = 1024;

/// What a number of the program's stands for.
#[derive(Debug)]
pub(super) enum Descriptor {
    Stream(Stream),
    File(File),
    /// Boxed: they are few, and larger.
    Dir(Box<Dir>),
}

/// A standard stream, wherever `fd_renumber` has put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
}

/// A file that is open. Its position is ours, so that reading at it is one call.
#[derive(Debug)]
pub(super) struct File {
    pub(super) fd: OwnedFd,
    /// Whether the grant that it was opened under allows changes.
    pub(super) writable: bool,
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) append: bool,
    /// Kept only to be told again: no file makes its reader wait.
    pub(super) nonblock: bool,
    pub(super) position: u64,
}

/// A directory that is open.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) fd: OwnedFd,
    /// Whether the grant that it was opened under allows changes.
    pub(super) writable: bool,
    /// Which grant it is, if it was not opened by the program.
    pub(super) grant: Option<usize>,
    pub(super) listing: Listing,
}

impl Dir {
    pub(super) fn granted(fd: OwnedFd, writable: bool, grant: usize) -> Self {
        Self {
            grant: Some(grant),
            ..Self::opened(fd, writable)
        }
    }

    pub(super) fn opened(fd: OwnedFd, writable: bool) -> Self {
        Self {
            fd,
            writable,
            grant: None,
            listing: Listing::default(),
        }
    }

    /// Fails unless things below it may be changed.
    pub(super) fn for_changes(&self) -> Answer<BorrowedFd<'_>> {
        if self.writable {
            Ok(self.fd.as_fd())
        } else {
            Err(Errno::Perm)
        }
    }
}

/// Numbers are handed out from the lowest free one on.
#[derive(Debug)]
pub(super) struct Descriptors(Vec<Option<Descriptor>>);

impl Descriptors {
    pub(super) fn with_streams() -> Self {
        let streams = [Stream::Stdin, Stream::Stdout, Stream::Stderr];
        Self(
            streams
                .map(|stream| Some(Descriptor::Stream(stream)))
                .into(),
        )
    }

    /// # Errors
    /// As many as there may be are open.
    pub(super) fn insert(&mut self, descriptor: Descriptor) -> Answer<u32> {
        let at = match self.0.iter().position(Option::is_none) {
            Some(at) => at,
            None if self.0.len() < DESCRIPTORS_MAX => {
                self.0.push(None);
                self.0.len() - 1
            }
            None => return Err(Errno::Mfile),
        };
        self.0[at] = Some(descriptor);
        u32::try_from(at).map_err(|_| Errno::Mfile)
    }

    /// Fails before something is opened or created for which there would be no number.
    pub(super) fn has_room(&self) -> Answer {
        if self.0.len() < DESCRIPTORS_MAX || self.0.iter().any(Option::is_none) {
            Ok(())
        } else {
            Err(Errno::Mfile)
        }
    }

    fn slot(&mut self, fd: u32) -> Answer<&mut Option<Descriptor>> {
        self.0
            .get_mut(fd as usize)
            .filter(|slot| slot.is_some())
            .ok_or(Errno::Badf)
    }

    pub(super) fn get(&mut self, fd: u32) -> Answer<&mut Descriptor> {
        self.slot(fd)?.as_mut().ok_or(Errno::Badf)
    }

    pub(super) fn close(&mut self, fd: u32) -> Answer {
        *self.slot(fd)? = None;
        Ok(())
    }

    /// Moves `from` to `to`, which is closed; both must be open.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Answer {
        self.slot(from)?;
        self.slot(to)?;
        if from != to {
            let moved = self.slot(from)?.take();
            self.0[to as usize] = moved;
        }
        Ok(())
    }

    pub(super) fn stream(&mut self, fd: u32) -> Option<Stream> {
        match self.get(fd) {
            Ok(Descriptor::Stream(stream)) => Some(*stream),
            _ => None,
        }
    }

    /// # Errors
    /// Not open, or no file.
    pub(super) fn file(&mut self, fd: u32) -> Answer<&mut File> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            _ => Err(Errno::Badf),
        }
    }

    /// # Errors
    /// Not open, or no directory.
    pub(super) fn dir(&mut self, fd: u32) -> Answer<&mut Dir> {
        match self.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            _ => Err(Errno::Badf),
        }
    }

    /// # Errors
    /// One of them is not open, or no directory.
    pub(super) fn two_dirs(&self, one: u32, other: u32) -> Answer<(&Dir, &Dir)> {
        let dir = |fd: u32| match self.0.get(fd as usize) {
            Some(Some(Descriptor::Dir(dir))) => Ok(&**dir),
            _ => Err(Errno::Badf),
        };
        Ok((dir(one)?, dir(other)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn another() -> Descriptor {
        Descriptor::Stream(Stream::Stderr)
    }

    #[test]
    fn numbers_are_the_lowest_free_up_to_the_limit() {
        let mut table = Descriptors::with_streams();
        for expected in 3..DESCRIPTORS_MAX {
            assert_eq!(
                table.insert(another()),
                Ok(u32::try_from(expected).expect("small"))
            );
        }
        assert_eq!(table.insert(another()), Err(Errno::Mfile));
        assert_eq!(table.has_room(), Err(Errno::Mfile));
        assert_eq!(table.close(700), Ok(()));
        assert_eq!(table.close(700), Err(Errno::Badf));
        assert_eq!(table.close(20), Ok(()));
        assert_eq!(table.has_room(), Ok(()));
        assert_eq!(table.insert(another()), Ok(20));
        assert_eq!(table.insert(another()), Ok(700));
        assert_eq!(table.close(u32::MAX), Err(Errno::Badf));
    }

    #[test]
    fn a_renumbered_descriptor_is_under_its_new_number_alone() {
        let mut table = Descriptors::with_streams();
        assert_eq!(table.renumber(0, 2), Ok(()));
        assert_eq!(table.stream(2), Some(Stream::Stdin));
        assert_eq!(table.stream(0), None);
        assert_eq!(table.renumber(0, 2), Err(Errno::Badf));
        assert_eq!(table.renumber(2, 7), Err(Errno::Badf));
        assert_eq!(table.renumber(2, 2), Ok(()));
        assert_eq!(table.stream(2), Some(Stream::Stdin));
    }
}
