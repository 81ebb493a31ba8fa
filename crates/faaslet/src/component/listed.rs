//! A component's listings of directories: read batch by batch as it goes on. `wasmtime-wasi` reads a directory as a whole when it is asked
//! for, which takes as long, and as much of the host's memory, as there are entries.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
};

use super::opened::error_code;
use crate::files::errno::Answer;
use crate::files::listing::Listing;

/// A listing under way. Its handle is one of a [`DirectoryEntryStream`], which nobody else can make.
pub(super) struct Listed {
    dir: OwnedFd,
    listing: Listing,
    next: u64,
}

/// What `stream` is here.
pub(super) fn listed(stream: &Resource<DirectoryEntryStream>) -> Resource<Listed> {
    Resource::new_borrow(stream.rep())
}

impl Listed {
    /// Begins with the first entry of `dir`.
    pub(super) fn open(dir: BorrowedFd<'_>) -> Answer<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            // A descriptor has one place in its directory, and others may read that too.
            dir: openat(dir, ".", flags, Mode::empty())?,
            listing: Listing::default(),
            next: 0,
        })
    }

    pub(super) fn next(&mut self) -> FsResult<Option<DirectoryEntry>> {
        let entry = self.listing.nth(self.dir.as_fd(), self.next);
        let Some((kind, name)) = entry.map_err(error_code)? else {
            return Ok(None);
        };
        self.next += 1;
        let name = std::str::from_utf8(name).map_err(|_| ErrorCode::IllegalByteSequence)?;
        Ok(Some(DirectoryEntry {
            type_: descriptor_type(kind),
            name: name.to_owned(),
        }))
    }
}

/// By preview 1's number for it.
fn descriptor_type(kind: u8) -> DescriptorType {
    match kind {
        1 => DescriptorType::BlockDevice,
        2 => DescriptorType::CharacterDevice,
        3 => DescriptorType::Directory,
        4 => DescriptorType::RegularFile,
        6 => DescriptorType::Socket,
        7 => DescriptorType::SymbolicLink,
        _ => DescriptorType::Unknown,
    }
}
