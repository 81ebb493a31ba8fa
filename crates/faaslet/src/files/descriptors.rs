//! The table of one program's descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::errno::{Answer, Errno};
use super::granted::open_without_links;
use super::listing::Listing;
use crate::budget::{Budget, CountedBlocks, KeptDisk, OverBudget};
use crate::error::SetupError;
use crate::given::Given;

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

impl Descriptor {
    /// Whether it is one of the process's own.
    fn is_counted(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }

    fn writable_dir(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Dir(dir) if dir.writable => Some(dir.fd.as_fd()),
            _ => None,
        }
    }
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
    /// What of it was last counted as written.
    pub(crate) blocks: CountedBlocks,
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

/// Numbers are handed out from the lowest free one on. What is open is counted in the budget.
#[derive(Debug)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    budget: Arc<Budget>,
    /// How many were counted: all that is open but streams, and one more for what is about to be opened.
    counted: u64,
    open: u64,
    /// Room for what may be written, if anything may.
    _disk: Option<KeptDisk>,
}

impl Descriptors {
    /// The standard streams and the directories of `grants`, under the numbers that WASI gives them.
    ///
    /// # Errors
    /// A directory cannot be opened, or the budget has no room for it or for what may be written there.
    pub(crate) fn open(given: &Given) -> Result<Box<Self>, SetupError> {
        let mut descriptors = Self::with_streams(&given.budget);
        for (i, grant) in given.dirs.iter().enumerate() {
            let named =
                |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", grant.host.display()));
            descriptors.count_one_more()?;
            let fd = open_without_links(&grant.host)
                .map_err(named)
                .map_err(SetupError::Files)?;
            let dir = Dir::granted(fd, grant.writable, i);
            descriptors
                .insert(Descriptor::Dir(Box::new(dir)))
                .map_err(|_| io::Error::other("too many directories are granted"))
                .map_err(SetupError::Files)?;
        }
        let dirs = || descriptors.slots.iter().flatten();
        let writable = || dirs().filter_map(Descriptor::writable_dir);
        if writable().next().is_some() {
            let kept = given.budget.keep_disk(writable())?;
            descriptors._disk = Some(kept);
        }
        Ok(Box::new(descriptors))
    }

    fn with_streams(budget: &Arc<Budget>) -> Self {
        let streams = [Stream::Stdin, Stream::Stdout, Stream::Stderr];
        let streams = streams.map(|stream| Some(Descriptor::Stream(stream)));
        Self {
            slots: streams.into(),
            budget: budget.clone(),
            counted: 0,
            open: 0,
            _disk: None,
        }
    }

    /// Counts one more than is open, unless it was.
    fn count_one_more(&mut self) -> Result<(), OverBudget> {
        if self.counted == self.open {
            self.budget.descriptors.take(1)?;
            self.counted += 1;
        }
        Ok(())
    }

    /// `descriptor` is no longer the program's.
    fn put_out(&mut self, descriptor: Option<Descriptor>) {
        if descriptor.is_some_and(|descriptor| descriptor.is_counted()) {
            self.open -= 1;
            self.counted -= 1;
            self.budget.descriptors.give(1);
        }
    }

    /// # Errors
    /// As many as there may be are open.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Answer<u32> {
        if descriptor.is_counted() {
            self.count_one_more().map_err(|_| Errno::Nfile)?;
        }
        let at = match self.slots.iter().position(Option::is_none) {
            Some(at) => at,
            None if self.slots.len() < DESCRIPTORS_MAX => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => return Err(Errno::Mfile),
        };
        if descriptor.is_counted() {
            self.open += 1;
        }
        self.slots[at] = Some(descriptor);
        u32::try_from(at).map_err(|_| Errno::Mfile)
    }

    /// Fails before something is opened or created for which there would be no number, or no room in the budget.
    pub(crate) fn make_room(&mut self) -> Answer {
        if self.slots.len() >= DESCRIPTORS_MAX && self.slots.iter().all(Option::is_some) {
            return Err(Errno::Mfile);
        }
        self.count_one_more().map_err(|_| Errno::Nfile)
    }

    fn slot(&mut self, fd: u32) -> Answer<&mut Option<Descriptor>> {
        self.slots
            .get_mut(fd as usize)
            .filter(|slot| slot.is_some())
            .ok_or(Errno::Badf)
    }

    pub(crate) fn descriptor(&mut self, fd: u32) -> Answer<&mut Descriptor> {
        self.slot(fd)?.as_mut().ok_or(Errno::Badf)
    }

    pub(crate) fn close(&mut self, fd: u32) -> Answer {
        let closed = self.slot(fd)?.take();
        self.put_out(closed);
        Ok(())
    }

    /// Moves `from` to `to`, which is closed; both must be open.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Answer {
        self.slot(from)?;
        self.slot(to)?;
        if from != to {
            let moved = self.slot(from)?.take();
            let closed = std::mem::replace(&mut self.slots[to as usize], moved);
            self.put_out(closed);
        }
        Ok(())
    }

    pub(crate) fn stream(&mut self, fd: u32) -> Option<Stream> {
        match self.descriptor(fd) {
            Ok(Descriptor::Stream(stream)) => Some(*stream),
            _ => None,
        }
    }

    /// # Errors
    /// Not open, or no file.
    pub(crate) fn file(&mut self, fd: u32) -> Answer<&mut File> {
        match self.descriptor(fd)? {
            Descriptor::File(file) => Ok(file),
            _ => Err(Errno::Badf),
        }
    }

    /// # Errors
    /// Not open, or no directory.
    pub(crate) fn dir(&mut self, fd: u32) -> Answer<&mut Dir> {
        match self.descriptor(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            _ => Err(Errno::Badf),
        }
    }

    /// # Errors
    /// One of them is not open, or no directory.
    pub(crate) fn two_dirs(&self, one: u32, other: u32) -> Answer<(&Dir, &Dir)> {
        let dir = |fd: u32| match self.slots.get(fd as usize) {
            Some(Some(Descriptor::Dir(dir))) => Ok(&**dir),
            _ => Err(Errno::Badf),
        };
        Ok((dir(one)?, dir(other)?))
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        if self.counted > 0 {
            // Closed before others may open as many.
            self.slots.clear();
            self.budget.descriptors.give(self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BudgetSettings;

    fn another() -> Descriptor {
        Descriptor::Stream(Stream::Stderr)
    }

    fn budget(descriptors: u64) -> Arc<Budget> {
        let settings = BudgetSettings {
            descriptors: Some(descriptors),
            ..BudgetSettings::default()
        };
        Arc::new(Budget::new(&settings, 1))
    }

    fn opened() -> Descriptor {
        let dir = open_without_links(std::path::Path::new("/")).expect("a directory");
        Descriptor::Dir(Box::new(Dir::opened(dir, false)))
    }

    #[test]
    fn what_all_have_open_is_counted_until_it_is_closed() {
        let budget = budget(5);
        let taken = || budget.descriptors.taken();
        let (mut one, mut other) = (
            Descriptors::with_streams(&budget),
            Descriptors::with_streams(&budget),
        );
        for _ in 0..3 {
            one.make_room().expect("room");
            one.insert(opened()).expect("room");
        }
        other.insert(opened()).expect("room");
        assert_eq!(taken(), 4);
        // Nothing came of it: the room is kept for the next time.
        for _ in 0..3 {
            other.make_room().expect("room");
        }
        assert_eq!(taken(), 5);
        assert_eq!(one.make_room(), Err(Errno::Nfile));
        assert_eq!(one.insert(opened()), Err(Errno::Nfile));
        one.insert(another()).expect("streams are not counted");
        one.renumber(3, 4).expect("open");
        assert_eq!(taken(), 4);
        one.close(4).expect("open");
        one.close(6).expect("open");
        assert_eq!(taken(), 3);
        drop(other);
        assert_eq!(taken(), 1);
        drop(one);
        assert_eq!(taken(), 0);
    }

    #[test]
    fn numbers_are_the_lowest_free_up_to_the_limit() {
        let mut table = Descriptors::with_streams(&budget(1));
        for expected in 3..DESCRIPTORS_MAX {
            assert_eq!(
                table.insert(another()),
                Ok(u32::try_from(expected).expect("small"))
            );
        }
        assert_eq!(table.insert(another()), Err(Errno::Mfile));
        assert_eq!(table.make_room(), Err(Errno::Mfile));
        assert_eq!(table.close(700), Ok(()));
        assert_eq!(table.close(700), Err(Errno::Badf));
        assert_eq!(table.close(20), Ok(()));
        assert_eq!(table.make_room(), Ok(()));
        assert_eq!(table.insert(another()), Ok(20));
        assert_eq!(table.insert(another()), Ok(700));
        assert_eq!(table.close(u32::MAX), Err(Errno::Badf));
    }

    #[test]
    fn a_renumbered_descriptor_is_under_its_new_number_alone() {
        let mut table = Descriptors::with_streams(&budget(0));
        assert_eq!(table.renumber(0, 2), Ok(()));
        assert_eq!(table.stream(2), Some(Stream::Stdin));
        assert_eq!(table.stream(0), None);
        assert_eq!(table.renumber(0, 2), Err(Errno::Badf));
        assert_eq!(table.renumber(2, 7), Err(Errno::Badf));
        assert_eq!(table.renumber(2, 2), Ok(()));
        assert_eq!(table.stream(2), Some(Stream::Stdin));
    }
}
