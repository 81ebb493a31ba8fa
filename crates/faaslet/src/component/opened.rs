//! What a component has open, and how it opens it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::OFlags;
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::budget::{Budget, CountedBlocks, KeptDisk};
use crate::error::SetupError;
use crate::files::descriptors::DESCRIPTORS_MAX;
use crate::files::errno::Errno;
use crate::files::granted::open_without_links;
use crate::given::Given;

/// What a start has open, given or by itself; counted in the budget.
pub(super) struct Opened {
    pub(super) granted: Vec<(Dir, String)>,
    budget: Arc<Budget>,
    count: u64,
    /// What of each descriptor was last counted as written.
    pub(super) blocks: BTreeMap<u32, CountedBlocks>,
    /// Room for what may be written, if anything may.
    _disk: Option<KeptDisk>,
}

impl Opened {
    /// The directories of `given`.
    ///
    /// # Errors
    /// One cannot be opened, or the budget has no room for it or for what may be written there.
    pub(super) fn open(given: &Given) -> Result<Self, SetupError> {
        let mut opened = Self {
            granted: Vec::with_capacity(given.dirs.len()),
            budget: given.budget.clone(),
            count: 0,
            blocks: BTreeMap::new(),
            _disk: None,
        };
        for grant in &given.dirs {
            opened.budget.descriptors.take(1)?;
            opened.count += 1;
            let dir = open_without_links(&grant.host).map_err(|e| {
                let named = format!("{}: {e}", grant.host.display());
                SetupError::Files(io::Error::new(e.kind(), named))
            })?;
            let (perms, mode) = if grant.writable {
                (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE)
            } else {
                (FsPerms::ReadOnly, OpenMode::READ)
            };
            let dir = Dir::new(File::from(dir), perms, mode, true);
            opened.granted.push((dir, grant.guest.clone()));
        }
        let writable = || {
            let dirs = opened.granted.iter();
            dirs.filter(|(dir, _)| !dir.perms.write_not_permitted())
                .map(|(dir, _)| dir.dir.as_fd())
        };
        if writable().next().is_some() {
            opened._disk = Some(given.budget.keep_disk(writable())?);
        }
        Ok(opened)
    }

    /// Counts one more, before it is opened.
    pub(super) fn make_room(&mut self) -> FsResult<()> {
        let room = self.count < DESCRIPTORS_MAX as u64 && self.budget.descriptors.take(1).is_ok();
        if !room {
            return Err(ErrorCode::Quota.into());
        }
        self.count += 1;
        Ok(())
    }

    pub(super) fn put_out(&mut self) {
        self.count -= 1;
        self.budget.descriptors.give(1);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.budget.descriptors.give(self.count);
    }
}

/// How a file is to be opened.
pub(super) struct How {
    pub(super) flags: OFlags,
    pub(super) mode: OpenMode,
    /// Whether that takes the right to change something.
    pub(super) changes: bool,
}

impl How {
    pub(super) fn new(
        path: PathFlags,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Self, ErrorCode> {
        let synchronised = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synchronised) {
            return Err(ErrorCode::Unsupported);
        }
        let creates = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open.contains(OpenFlags::DIRECTORY) && open.intersects(creates) {
            return Err(ErrorCode::Invalid);
        }
        let truncates = open.contains(OpenFlags::TRUNCATE);
        let writes = flags.contains(DescriptorFlags::WRITE) || truncates;
        let reads = flags.contains(DescriptorFlags::READ) || !writes;
        let (access, mode) = match (reads, writes) {
            (true, true) => (OFlags::RDWR, OpenMode::READ | OpenMode::WRITE),
            (_, false) => (OFlags::RDONLY, OpenMode::READ),
            (false, true) => (OFlags::WRONLY, OpenMode::WRITE),
        };
        let mut os = access;
        os.set(OFlags::NOFOLLOW, !path.contains(PathFlags::SYMLINK_FOLLOW));
        os.set(OFlags::DIRECTORY, open.contains(OpenFlags::DIRECTORY));
        os.set(OFlags::CREATE, open.contains(OpenFlags::CREATE));
        os.set(
            OFlags::EXCL,
            open.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
        );
        os.set(OFlags::TRUNC, truncates);
        Ok(Self {
            flags: os,
            mode,
            changes: writes || open.contains(OpenFlags::CREATE),
        })
    }
}

/// What a component is told of `errno`.
pub(super) fn error_code(errno: Errno) -> FsError {
    let code = match errno {
        Errno::Acces => ErrorCode::Access,
        Errno::Badf => ErrorCode::BadDescriptor,
        Errno::Busy => ErrorCode::Busy,
        Errno::Dquot => ErrorCode::Quota,
        Errno::Exist => ErrorCode::Exist,
        Errno::Fbig => ErrorCode::FileTooLarge,
        Errno::Ilseq => ErrorCode::IllegalByteSequence,
        Errno::Inval => ErrorCode::Invalid,
        Errno::Isdir => ErrorCode::IsDirectory,
        Errno::Loop => ErrorCode::Loop,
        Errno::Nametoolong => ErrorCode::NameTooLong,
        Errno::Noent => ErrorCode::NoEntry,
        Errno::Nospc => ErrorCode::InsufficientSpace,
        Errno::Notdir => ErrorCode::NotDirectory,
        Errno::Nxio | Errno::Nodev => ErrorCode::NoSuchDevice,
        Errno::Perm => ErrorCode::NotPermitted,
        Errno::Rofs => ErrorCode::ReadOnly,
        Errno::Txtbsy => ErrorCode::TextFileBusy,
        _ => ErrorCode::Io,
    };
    code.into()
}
