//! Streams of a component's files. They read and write on the start's own thread, at a position, which waits for nobody.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::{ReadWriteFlags, pwritev2};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::streams::{Shared, lock};
use crate::budget::CountedBlocks;

/// What is read or written at once.
const PIECE_BYTES: usize = 64 << 10;

/// Reads on from a position.
pub(super) struct Reader {
    pub(super) file: Arc<File>,
    pub(super) at: u64,
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(PIECE_BYTES));
        match self.file.read_at(&mut buffer, self.at) {
            Ok(0) => Err(StreamError::Closed),
            Ok(n) => {
                self.at += n as u64;
                buffer.truncate(n);
                Ok(buffer.freeze())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Bytes::new()),
            Err(e) => Err(StreamError::LastOperationFailed(e.into())),
        }
    }
}

#[async_trait]
impl Pollable for Reader {
    /// A file makes nobody wait.
    async fn ready(&mut self) {}
}

/// Where a stream writes next.
pub(super) enum At {
    Position(u64),
    End,
}

/// Writes on from a position, or at the end.
pub(super) struct Writer {
    pub(super) file: Arc<File>,
    pub(super) at: At,
    pub(super) blocks: CountedBlocks,
    pub(super) written: Shared,
}

impl Writer {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.at {
            At::Position(at) => {
                self.file.write_all_at(bytes, *at)?;
                *at += bytes.len() as u64;
            }
            At::End => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let piece = [io::IoSlice::new(rest)];
                    let n = pwritev2(&self.file, &piece, 0, ReadWriteFlags::APPEND)?;
                    rest = &rest[n..];
                }
            }
        }
        Ok(())
    }
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > PIECE_BYTES {
            return Err(StreamError::trap(
                "it wrote more than `check-write` allowed",
            ));
        }
        let failed = |e: io::Error| StreamError::LastOperationFailed(e.into());
        let at = match self.at {
            At::Position(at) => at,
            At::End => self.file.metadata().map_err(failed)?.len(),
        };
        let (blocks, more) = self.blocks.with(at, bytes.len() as u64);
        lock(&self.written).count_disk(more)?;
        self.blocks = blocks;
        self.write_all(&bytes).map_err(failed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PIECE_BYTES)
    }
}

#[async_trait]
impl Pollable for Writer {
    /// A file makes nobody wait.
    async fn ready(&mut self) {}
}
