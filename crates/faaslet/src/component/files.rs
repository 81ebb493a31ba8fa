//! A component's files: `wasi:filesystem` of `wasmtime-wasi`, but for what of it would wait, count nothing or leave the
//! thread that is in the start's CPU group.
//!
//! * Files are opened as for preview-1 programs ([`resolve`](crate::files::resolve)): by one `openat2`, never waiting for a FIFO.
//! * Descriptors and blocks are counted in the same budgets.
//! * Streams read and write on the start's own thread, at a position, which waits for nobody.
//! * Directories are read batch by batch.

use std::fs::File as OsFile;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, fstat};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use super::file_streams::{At, Reader, Writer};
use super::listed::{Listed, listed};
use super::opened::{How, Opened, error_code};
use super::streams::{OverLimit, Shared, lock};
use crate::budget::{BLOCK_BYTES, CountedBlocks};
use crate::files::resolve;

/// Of files that are created, less the process's mask.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// Files of one start, for one call.
pub(crate) struct Files<'a> {
    theirs: WasiFilesystemCtxView<'a>,
    opened: &'a mut Opened,
    written: &'a Shared,
}

/// By which they are linked.
pub(super) struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

impl<'a> Files<'a> {
    pub(super) fn new(
        ctx: &'a mut WasiFilesystemCtx,
        table: &'a mut ResourceTable,
        opened: &'a mut Opened,
        written: &'a Shared,
    ) -> Self {
        Self {
            theirs: WasiFilesystemCtxView { ctx, table },
            opened,
            written,
        }
    }

    fn count(&self, bytes: u64) -> FsResult<()> {
        lock(self.written).count_disk(bytes).map_err(quota)
    }

    /// The file `fd`, and that it may be written to if it is `to_write`.
    fn file(&self, fd: &Resource<Descriptor>, to_write: bool) -> FsResult<&File> {
        match self.theirs.table.get(fd)? {
            Descriptor::File(file) if to_write && file.perms.write_not_permitted() => {
                Err(ErrorCode::NotPermitted.into())
            }
            Descriptor::File(file) if to_write && !file.open_mode.contains(OpenMode::WRITE) => {
                Err(ErrorCode::BadDescriptor.into())
            }
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    fn dir(&self, fd: &Resource<Descriptor>) -> FsResult<&Dir> {
        match self.theirs.table.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    fn writer(&mut self, fd: &Resource<Descriptor>, at: At) -> FsResult<Resource<DynOutputStream>> {
        let writer = Writer {
            file: self.file(fd, true)?.file.clone(),
            at,
            blocks: CountedBlocks::default(),
            written: self.written.clone(),
        };
        let writer: DynOutputStream = Box::new(writer);
        Ok(self.theirs.table.push(writer)?)
    }

    fn open_counted(
        &mut self,
        fd: &Resource<Descriptor>,
        path: &str,
        how: &How,
    ) -> FsResult<Resource<Descriptor>> {
        let dir = self.dir(fd)?;
        let perms = dir.perms;
        if how.changes && perms.write_not_permitted() {
            return Err(ErrorCode::NotPermitted.into());
        }
        let creates = how.flags.contains(OFlags::CREATE);
        let at = dir.dir.clone();
        if creates {
            // Nothing is made that could not be counted.
            lock(self.written)
                .may_count_disk(BLOCK_BYTES)
                .map_err(quota)?;
        }
        // A mode without a file to make is refused.
        let mode = if creates { MODE } else { Mode::empty() };
        let opened: OwnedFd =
            resolve::open(at.as_fd(), path, how.flags, mode).map_err(error_code)?;
        let stat = fstat(&opened).map_err(io::Error::from)?;
        // It may have been there, but then it is no larger than what is new.
        if creates && stat.st_size == 0 {
            self.count(BLOCK_BYTES)?;
        }
        let file = OsFile::from(opened);
        let descriptor = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            Descriptor::Dir(Dir::new(file, perms, how.mode, true))
        } else {
            Descriptor::File(File::new(file, perms, how.mode, true))
        };
        Ok(self.theirs.table.push(descriptor)?)
    }
}

fn quota(_: OverLimit) -> FsError {
    ErrorCode::Quota.into()
}

/// What is theirs as it is.
macro_rules! theirs {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)*) => {$(
        async fn $name(&mut self, $($arg: $ty),*) -> FsResult<$ret> {
            HostDescriptor::$name(&mut self.theirs, $($arg),*).await
        }
    )*};
}

type Fd = Resource<Descriptor>;

impl HostDescriptor for Files<'_> {
    /// To forget what is cached of a file is no advice that is taken: others may read it too.
    async fn advise(
        &mut self,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        let advice = match advice {
            Advice::DontNeed => Advice::Normal,
            other => other,
        };
        HostDescriptor::advise(&mut self.theirs, fd, offset, len, advice).await
    }

    theirs! {
        sync_data(fd: Fd) -> ();
        get_flags(fd: Fd) -> DescriptorFlags;
        get_type(fd: Fd) -> DescriptorType;
        set_size(fd: Fd, size: Filesize) -> ();
        set_times(fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> ();
        read(fd: Fd, len: Filesize, offset: Filesize) -> (Vec<u8>, bool);
        sync(fd: Fd) -> ();
        stat(fd: Fd) -> DescriptorStat;
        stat_at(fd: Fd, flags: PathFlags, path: String) -> DescriptorStat;
        set_times_at(fd: Fd, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp) -> ();
        readlink_at(fd: Fd, path: String) -> String;
        remove_directory_at(fd: Fd, path: String) -> ();
        rename_at(fd: Fd, from: String, to_fd: Fd, to: String) -> ();
        unlink_file_at(fd: Fd, path: String) -> ();
        metadata_hash(fd: Fd) -> MetadataHashValue;
        metadata_hash_at(fd: Fd, flags: PathFlags, path: String) -> MetadataHashValue;
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        HostDescriptor::is_same_object(&mut self.theirs, a, b).await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.count(BLOCK_BYTES)?;
        HostDescriptor::create_directory_at(&mut self.theirs, fd, path).await
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        from: String,
        to_fd: Fd,
        to: String,
    ) -> FsResult<()> {
        self.count(BLOCK_BYTES)?;
        HostDescriptor::link_at(&mut self.theirs, fd, flags, from, to_fd, to).await
    }

    async fn symlink_at(&mut self, fd: Fd, text: String, path: String) -> FsResult<()> {
        self.count(BLOCK_BYTES)?;
        HostDescriptor::symlink_at(&mut self.theirs, fd, text, path).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let dir = self.dir(&fd)?.dir.clone();
        self.opened.make_room()?;
        let listed = Listed::open(dir.as_fd()).map_err(error_code);
        let pushed = listed.and_then(|listed| Ok(self.theirs.table.push(listed)?));
        if pushed.is_err() {
            self.opened.put_out();
        }
        Ok(Resource::new_own(pushed?.rep()))
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        self.file(&fd, true)?;
        let before = self.opened.blocks.get(&fd.rep()).copied();
        let (blocks, more) = before.unwrap_or_default().with(offset, bytes.len() as u64);
        self.count(more)?;
        self.opened.blocks.insert(fd.rep(), blocks);
        HostDescriptor::write(&mut self.theirs, fd, bytes, offset).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let how = How::new(path_flags, open_flags, flags)?;
        self.opened.make_room()?;
        let opened = self.open_counted(&fd, &path, &how);
        if opened.is_err() {
            self.opened.put_out();
        }
        opened
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.opened.blocks.remove(&fd.rep());
        let stays_open = match self.theirs.table.get(&fd)? {
            // One that was granted is told again whenever it is asked for.
            Descriptor::Dir(dir) => {
                let mut granted = self.opened.granted.iter();
                granted.any(|(granted, _)| Arc::ptr_eq(&granted.dir, &dir.dir))
            }
            // By its streams: then it counts until the start ends.
            Descriptor::File(file) => Arc::strong_count(&file.file) > 1,
        };
        HostDescriptor::drop(&mut self.theirs, fd)?;
        if !stays_open {
            self.opened.put_out();
        }
        Ok(())
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let reader: DynInputStream = Box::new(Reader {
            file: self.file(&fd, false)?.file.clone(),
            at: offset,
        });
        Ok(self.theirs.table.push(reader)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.writer(&fd, At::Position(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.writer(&fd, At::End)
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.theirs.table.get_mut(&listed(&stream))?.next()
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let stream = Resource::<Listed>::new_own(stream.rep());
        self.theirs.table.delete(stream)?;
        self.opened.put_out();
        Ok(())
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.theirs, error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.theirs, error)
    }
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let granted = self.opened.granted.iter();
        granted
            .map(|(dir, guest)| {
                let dir = self.theirs.table.push(Descriptor::Dir(dir.clone()))?;
                Ok((dir, guest.clone()))
            })
            .collect()
    }
}
