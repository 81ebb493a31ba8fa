//! The entries of a directory, as `fd_readdir` asks for them.
//!
//! A cookie is the number of an entry, counted from `.` and `..` on. The kernel hands entries out in batches; one is
//! kept, so that a program that reads on, which is what all do, never causes one to be read twice.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, RawDir, SeekFrom, fstat, seek, statat};
use rustix::io::Errno as Os;

use super::errno::{Answer, Errno};
use super::stat::kind;

/// A batch is what fits here: about a thousand entries.
const BATCH_BYTES: usize = 32 << 10;

/// `.` and `..`, which come first whatever the file system does.
const DOTS: [&[u8]; 2] = [b".", b".."];

/// `struct dirent`: next cookie, inode, length of the name, kind.
const DIRENT_BYTES: usize = 24;

/// How far a directory has been read.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    begun: bool,
    ended: bool,
    /// Number of the first entry of the batch, not counting [`DOTS`].
    first: u64,
    batch: Vec<Entry>,
    names: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    ino: u64,
    kind: u8,
    /// Where its name ends in `names`; it begins where the one before ends.
    end: usize,
}

impl Listing {
    /// Fills `out` with entries of `dir` from the number `cookie` on, the last one perhaps in part, and says how much
    /// it filled: less than all of it after the last entry. Gives up where it is to `stop`.
    pub(crate) fn read(
        &mut self,
        dir: BorrowedFd<'_>,
        cookie: u64,
        out: &mut [u8],
        stop: &dyn Fn() -> bool,
    ) -> Answer<usize> {
        if cookie == 0 {
            self.begun = false;
        }
        let mut out = Filling { out, used: 0 };
        let mut at = cookie;
        while !out.is_full() {
            let next = at.checked_add(1).ok_or(Errno::Inval)?;
            if let Some(&name) = usize::try_from(at).ok().and_then(|at| DOTS.get(at)) {
                // The directory's own inode for its parent too, which may be outside.
                out.put(next, fstat(dir)?.st_ino, kind(FileType::Directory), name);
            } else {
                let Some((entry, name)) = self.entry(dir, at - DOTS.len() as u64, stop)? else {
                    break;
                };
                if std::str::from_utf8(name).is_err() {
                    return Err(Errno::Ilseq);
                }
                out.put(next, entry.ino, entry.kind, name);
            }
            at = next;
        }
        Ok(out.used)
    }

    /// Kind and name of entry number `index` of `dir`, not counting [`DOTS`], if there are so many.
    pub(crate) fn nth(&mut self, dir: BorrowedFd<'_>, index: u64) -> Answer<Option<(u8, &[u8])>> {
        let entry = self.entry(dir, index, &|| false)?;
        Ok(entry.map(|(entry, name)| (entry.kind, name)))
    }

    /// Entry number `index`, if there are so many.
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        index: u64,
        stop: &dyn Fn() -> bool,
    ) -> Answer<Option<(Entry, &[u8])>> {
        if !self.begun || index < self.first {
            seek(dir, SeekFrom::Start(0))?;
            *self = Self {
                begun: true,
                ..Self::default()
            };
        }
        loop {
            let within = usize::try_from(index - self.first).unwrap_or(usize::MAX);
            if let Some(&entry) = self.batch.get(within) {
                let start = within.checked_sub(1).map_or(0, |i| self.batch[i].end);
                return Ok(Some((entry, &self.names[start..entry.end])));
            }
            if self.ended {
                return Ok(None);
            }
            if stop() {
                return Err(Errno::Intr);
            }
            self.next_batch(dir)?;
        }
    }

    fn next_batch(&mut self, dir: BorrowedFd<'_>) -> Answer {
        self.first += self.batch.len() as u64;
        self.batch.clear();
        self.names.clear();
        let mut buffer = Vec::<u8>::with_capacity(BATCH_BYTES);
        let mut raw = RawDir::new(dir, buffer.spare_capacity_mut());
        loop {
            let entry = match raw.next() {
                Some(Ok(entry)) => entry,
                Some(Err(Os::INTR)) => continue,
                // A directory that was removed has no entries.
                None | Some(Err(Os::NOENT)) => {
                    self.ended = true;
                    return Ok(());
                }
                Some(Err(error)) => return Err(error.into()),
            };
            let name = entry.file_name();
            if !DOTS.contains(&name.to_bytes()) {
                let kind = match entry.file_type() {
                    FileType::Unknown => statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_or(0, |stat| kind(FileType::from_raw_mode(stat.st_mode))),
                    known => kind(known),
                };
                self.names.extend_from_slice(name.to_bytes());
                self.batch.push(Entry {
                    ino: entry.ino(),
                    kind,
                    end: self.names.len(),
                });
            }
            if raw.is_buffer_empty() {
                return Ok(());
            }
        }
    }
}

/// A buffer of the program's that is filled from its start.
struct Filling<'a> {
    out: &'a mut [u8],
    used: usize,
}

impl Filling<'_> {
    fn is_full(&self) -> bool {
        self.used == self.out.len()
    }

    fn put(&mut self, next: u64, ino: u64, kind: u8, name: &[u8]) {
        let mut head = [0_u8; DIRENT_BYTES];
        head[..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&ino.to_le_bytes());
        // Names have at most 255 bytes.
        let len = u32::try_from(name.len()).unwrap_or(0);
        head[16..20].copy_from_slice(&len.to_le_bytes());
        head[20] = kind;
        for bytes in [&head[..], name] {
            let room = &mut self.out[self.used..];
            let n = bytes.len().min(room.len());
            room[..n].copy_from_slice(&bytes[..n]);
            self.used += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    fn names(out: &[u8]) -> Vec<(u64, String)> {
        let mut names = Vec::new();
        let mut rest = out;
        while rest.len() >= DIRENT_BYTES {
            let next = u64::from_le_bytes(rest[..8].try_into().expect("8 bytes"));
            let len = u32::from_le_bytes(rest[16..20].try_into().expect("4 bytes")) as usize;
            if rest.len() < DIRENT_BYTES + len {
                break;
            }
            let name = &rest[DIRENT_BYTES..][..len];
            names.push((next, String::from_utf8(name.to_vec()).expect("text")));
            rest = &rest[DIRENT_BYTES + len..];
        }
        names
    }

    /// Reads all as C libraries do: on from the last entry that was there as a whole.
    fn all(listing: &mut Listing, dir: &File, buffer_bytes: usize) -> Vec<String> {
        let (mut cookie, mut all) = (0, Vec::new());
        let mut out = vec![0; buffer_bytes];
        loop {
            let used = listing
                .read(dir.as_fd(), cookie, &mut out, &|| false)
                .expect("entries");
            for (next, name) in names(&out[..used]) {
                assert_eq!(next, cookie + 1);
                cookie = next;
                all.push(name);
            }
            if used < buffer_bytes {
                return all;
            }
        }
    }

    #[test]
    fn every_entry_comes_once_whatever_the_buffer() {
        let temp = tempfile::TempDir::new().expect("a directory");
        let mut expected: BTreeSet<String> = [".".to_owned(), "..".to_owned()].into();
        for i in 0..2500 {
            let name = format!("{i}{}", "x".repeat(i % 60));
            fs::write(temp.path().join(&name), "").expect("a file");
            expected.insert(name);
        }
        let dir = File::open(temp.path()).expect("a directory");
        let mut listing = Listing::default();
        for buffer_bytes in [100, 4096, 1 << 20] {
            let all = all(&mut listing, &dir, buffer_bytes);
            assert_eq!(all[..2], [".", ".."]);
            assert_eq!(all.len(), expected.len());
            assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
        }
        // Back, further on than there is anything, and back again.
        let mut out = [0; 200];
        for (cookie, any) in [
            (2000, true),
            (3, true),
            (1 << 40, false),
            (u64::MAX, false),
            (2501, true),
            (2502, false),
        ] {
            let read = listing.read(dir.as_fd(), cookie, &mut out, &|| false);
            assert_eq!(read.unwrap_or(0) > 0, any, "{cookie}");
        }
        // What was added is seen from the beginning on.
        fs::write(temp.path().join("added"), "").expect("a file");
        assert!(all(&mut listing, &dir, 4096).contains(&"added".to_owned()));
    }

    #[test]
    fn the_parent_has_the_inode_of_the_directory_itself() {
        let temp = tempfile::TempDir::new().expect("a directory");
        let dir = File::open(temp.path()).expect("a directory");
        let mut out = [0; 2 * DIRENT_BYTES + 3];
        let used = Listing::default().read(dir.as_fd(), 0, &mut out, &|| false);
        assert_eq!(used, Ok(out.len()));
        assert_eq!(out[8..16], out[DIRENT_BYTES + 1 + 8..][..8]);
    }
}
