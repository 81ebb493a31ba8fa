//! The table of one program's descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::errno::{Answer, Errno};
use super::granted::open_without_links;
use super::listing::Listing;
use crate::grants::Grants;

/// A program may have this many open at once, its streams and granted directories included: the usual limit of a
/// process, kept per program because all Faaslets of a worker share the process's.
pub(crate) const DESCRIPTORS_MAX: usize = 1024;

/// What a number of the program's stands for.
#[derive(Debug)]
pub(crate) enum Descriptor {
    Stream(Stream),
    File(File),
    /// Boxed: they are few, and larger.
    Dir(Box<Dir>),
}

/// A standard stream, wherever `fd_renumber` has put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
}

/// A file that is open. Its position is ours, so that reading at it is one call.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) fd: OwnedFd,
    /// Whether the grant that it was opened under allows changes.
    pub(crate) writable: bool,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    /// Kept only to be told again: no file makes its reader wait.
    pub(crate) nonblock: bool,
    pub(crate) position: u64,
}

/// A directory that is open.
#[derive(Debug)]
pub(crate) struct Dir {
    pub(crate) fd: OwnedFd,
    /// Whether the grant that it was opened under allows changes.
    pub(crate) writable: bool,
    /// Which grant it is, if it was not opened by the program.
    pub(crate) grant: Option<usize>,
    pub(crate) listing: Listing,
}

impl Dir {
    pub(crate) fn granted(fd: OwnedFd, writable: bool, grant: usize) -> Self {
        Self {
            grant: Some(grant),
            ..Self::opened(fd, writable)
        }
    }

    pub(crate) fn opened(fd: OwnedFd, writable: bool) -> Self {
        Self {
            fd,
            writable,
            grant: None,
            listing: Listing::default(),
        }
    }

    /// Fails unless things below it may be changed.
    pub(crate) fn for_changes(&self) -> Answer<BorrowedFd<'_>> {
        if self.writable {
            Ok(self.fd.as_fd())
        } else {
            Err(Errno::Perm)
        }
    }
}

/// Numbers are handed out from the lowest free one on.
#[derive(Debug)]
pub(crate) struct Descriptors(Vec<Option<Descriptor>>);

impl Descriptors {
    /// The standard streams and the directories of `grants`, under the numbers that WASI gives them.
    pub(crate) fn open(grants: &Grants) -> io::Result<Box<Self>> {
        let mut descriptors = Self::with_streams();
        for (i, grant) in grants.dirs.iter().enumerate() {
            let named =
                |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", grant.host.display()));
            let fd = open_without_links(&grant.host).map_err(named)?;
            let dir = Dir::granted(fd, grant.writable, i);
            descriptors
                .insert(Descriptor::Dir(Box::new(dir)))
                .map_err(|_| io::Error::other("too many directories are granted"))?;
        }
        Ok(Box::new(descriptors))
    }

    fn with_streams() -> Self {
        let streams = [Stream::Stdin, Stream::Stdout, Stream::Stderr];
        Self(
            streams
                .map(|stream| Some(Descriptor::Stream(stream)))
                .into(),
        )
    }

    /// # Errors
    /// As many as there may be are open.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Answer<u32> {
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
    pub(crate) fn has_room(&self) -> Answer {
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

    pub(crate) fn get(&mut self, fd: u32) -> Answer<&mut Descriptor> {
        self.slot(fd)?.as_mut().ok_or(Errno::Badf)
    }

    pub(crate) fn close(&mut self, fd: u32) -> Answer {
        *self.slot(fd)? = None;
        Ok(())
    }

    /// Moves `from` to `to`, which is closed; both must be open.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Answer {
        self.slot(from)?;
        self.slot(to)?;
        if from != to {
            let moved = self.slot(from)?.take();
            self.0[to as usize] = moved;
        }
        Ok(())
    }

    pub(crate) fn stream(&mut self, fd: u32) -> Option<Stream> {
        match self.get(fd) {
            Ok(Descriptor::Stream(stream)) => Some(*stream),
            _ => None,
        }
    }

    /// # Errors
    /// Not open, or no file.
    pub(crate) fn file(&mut self, fd: u32) -> Answer<&mut File> {
        match self.get(fd)? {
            Descriptor::File(file) => Ok(file),
            _ => Err(Errno::Badf),
        }
    }

    /// # Errors
    /// Not open, or no directory.
    pub(crate) fn dir(&mut self, fd: u32) -> Answer<&mut Dir> {
        match self.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            _ => Err(Errno::Badf),
        }
    }

    /// # Errors
    /// One of them is not open, or no directory.
    pub(crate) fn two_dirs(&self, one: u32, other: u32) -> Answer<(&Dir, &Dir)> {
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
