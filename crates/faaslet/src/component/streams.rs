//! A component's standard streams, over the descriptors that every Faaslet is given.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::{Errno as Os, ReadWriteFlags, preadv2, read};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, empty, sink};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::budget::DiskLeft;
use crate::deadline::Watch;
use crate::stdin::Stdin;
use crate::wasi::write_some;

/// What is read or taken at once.
const PIECE_BYTES: usize = 64 << 10;
/// What all streams of a start may have accepted that no reader has taken yet.
const UNREAD_BYTES_MAX: usize = 1 << 20;
/// How often a reader that does not read is looked after.
const SLICE: Duration = Duration::from_millis(1);
/// The first so many bytes of standard error are kept for the message of a failure.
const STDERR_KEPT_BYTES: usize = 1024;
/// The descriptor's own position.
const HERE: u64 = u64::MAX;

/// What a start has written, which its streams count and its end looks at.
pub(super) struct Written {
    disk_left: DiskLeft,
    output_left: DiskLeft,
    /// Accepted by all its streams, and not yet taken.
    unread_bytes: usize,
    /// Whether something was denied for it.
    pub(super) denied: bool,
    stderr: Vec<u8>,
}

/// Shared by the start and all of its streams.
pub(super) type Shared = Arc<Mutex<Written>>;

impl Written {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self {
            disk_left: DiskLeft::new(limit_bytes),
            output_left: DiskLeft::new(limit_bytes),
            unread_bytes: 0,
            denied: false,
            stderr: Vec::new(),
        }
    }

    /// Counts `bytes` that are about to be in blocks of files.
    ///
    /// # Errors
    /// So much may not be written any more.
    pub(super) fn count_disk(&mut self, bytes: u64) -> Result<(), OverLimit> {
        let counted = self.disk_left.count(bytes);
        self.denied |= !counted;
        if counted { Ok(()) } else { Err(OverLimit) }
    }

    /// The same, of what may come to be; nothing is counted.
    ///
    /// # Errors
    /// So much may not be written any more.
    pub(super) fn may_count_disk(&mut self, bytes: u64) -> Result<(), OverLimit> {
        let before = self.disk_left;
        let counted = self.count_disk(bytes);
        self.disk_left = before;
        counted
    }

    /// The same of output.
    ///
    /// # Errors
    /// So much may not be written any more.
    pub(super) fn count_output(&mut self, bytes: usize) -> Result<(), OverLimit> {
        let counted = self.output_left.count(bytes as u64);
        self.denied |= !counted;
        if counted { Ok(()) } else { Err(OverLimit) }
    }

    pub(super) fn stderr(&self) -> &[u8] {
        &self.stderr
    }
}

/// More than may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverLimit;

impl From<OverLimit> for StreamError {
    fn from(_: OverLimit) -> Self {
        Self::LastOperationFailed(io::Error::from(io::ErrorKind::QuotaExceeded).into())
    }
}

pub(super) fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard output or error.
#[derive(Clone)]
pub(super) struct Output {
    pub(super) to: Option<Arc<OwnedFd>>,
    /// Whether its beginning is kept where it goes nowhere.
    pub(super) keep: bool,
    pub(super) written: Shared,
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    /// Only version 0.3 asks for it, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer {
            output: self.clone(),
            pending: Bytes::new(),
            held_bytes: 0,
            counted_bytes: 0,
        })
    }
}

/// One stream to an [`Output`].
struct Writer {
    output: Output,
    /// Accepted, and not yet taken by its reader.
    pending: Bytes,
    /// What holds it: a part of a buffer keeps all of it.
    held_bytes: usize,
    /// So much of that is among what all streams have accepted.
    counted_bytes: usize,
}

impl Writer {
    /// Hands over what is taken without waiting.
    fn hand_over(&mut self) -> StreamResult<()> {
        let outcome = self.hand_over_some();
        let now = match self.pending.is_empty() {
            true => 0,
            false => self.held_bytes,
        };
        if now != self.counted_bytes {
            let mut written = lock(&self.output.written);
            written.unread_bytes = written.unread_bytes - self.counted_bytes + now;
            self.counted_bytes = now;
        }
        outcome
    }

    /// Whether nothing can be accepted before some reader reads.
    fn is_full(&self) -> bool {
        !self.pending.is_empty() || lock(&self.output.written).unread_bytes >= UNREAD_BYTES_MAX
    }

    fn hand_over_some(&mut self) -> StreamResult<()> {
        let Some(to) = &self.output.to else {
            self.pending.clear();
            return Ok(());
        };
        while !self.pending.is_empty() {
            match write_some(to.as_fd(), &self.pending) {
                Ok(n) => drop(self.pending.split_to(n)),
                Err(Os::INTR) => {}
                Err(Os::AGAIN) => break,
                Err(Os::PIPE) => {
                    self.pending.clear();
                    return Err(StreamError::Closed);
                }
                Err(errno) => {
                    self.pending.clear();
                    let error = io::Error::from(errno);
                    return Err(StreamError::LastOperationFailed(error.into()));
                }
            }
        }
        Ok(())
    }
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > PIECE_BYTES || !self.pending.is_empty() {
            return Err(StreamError::trap(
                "it wrote more than `check-write` allowed",
            ));
        }
        if self.output.to.is_some() {
            lock(&self.output.written).count_output(bytes.len())?;
        } else if self.output.keep {
            let stderr = &mut lock(&self.output.written).stderr;
            let room = STDERR_KEPT_BYTES.saturating_sub(stderr.len());
            stderr.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        self.held_bytes = bytes.len();
        self.pending = bytes;
        self.hand_over()
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.hand_over()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.hand_over()?;
        Ok(if self.is_full() { 0 } else { PIECE_BYTES })
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        // Whoever writes to a pipe need not be told when it is read; what was not taken is tried again.
        while self.hand_over().is_ok() && self.is_full() {
            tokio::time::sleep(SLICE).await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A reader that does not read gets no more of it.
        let _ = self.hand_over_some();
        lock(&self.output.written).unread_bytes -= self.counted_bytes;
    }
}

/// A descriptor that many wait for at once.
pub(super) struct Awaited(Arc<Stdin>);

impl AsRawFd for Awaited {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd().as_raw_fd()
    }
}

/// Standard input.
#[derive(Clone)]
pub(super) struct Input {
    stdin: Arc<Stdin>,
    /// Nothing where the kernel never lets its reader wait: files.
    awaited: Option<Arc<AsyncFd<Awaited>>>,
}

impl Input {
    /// Within a runtime.
    pub(super) fn new(stdin: Arc<Stdin>) -> Self {
        let theirs = Awaited(stdin.clone());
        // SAFETY: its descriptor stays the same, and open, as long as it is kept, which is until it has been taken out again.
        let awaited = unsafe { AsyncFd::register_with_interest(theirs, Interest::READABLE) };
        Self {
            stdin,
            awaited: awaited.ok().map(Arc::new),
        }
    }

    /// Whether reading would not wait: there is something, or its end.
    fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(self.stdin.fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO) != Ok(0)
    }

    async fn ready(&self) {
        while !self.is_ready() {
            match &self.awaited {
                Some(awaited) => match awaited.readable().await {
                    Ok(mut guard) if !self.is_ready() => guard.clear_ready(),
                    _ => return,
                },
                None => tokio::time::sleep(SLICE).await,
            }
        }
    }
}

/// Standard input of one start.
pub(super) struct StdinOf {
    pub(super) input: Option<Input>,
    pub(super) watch: Arc<Watch>,
}

impl IsTerminal for StdinOf {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for StdinOf {
    /// Only version 0.3 asks for it, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Reader {
            input: self.input.clone(),
            watch: self.watch.clone(),
        })
    }
}

struct Reader {
    input: Option<Input>,
    watch: Arc<Watch>,
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let Some(input) = &self.input else {
            return Err(StreamError::Closed);
        };
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(PIECE_BYTES));
        match read_some(input, &mut buffer) {
            Ok(0) => Err(StreamError::Closed),
            Ok(n) => {
                buffer.truncate(n);
                Ok(buffer.freeze())
            }
            Err(Os::AGAIN | Os::INTR) => Ok(Bytes::new()),
            Err(errno) => Err(StreamError::LastOperationFailed(
                io::Error::from(errno).into(),
            )),
        }
    }
}

/// Reads what is there; `AGAIN` if that is nothing.
fn read_some(input: &Input, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let fd: BorrowedFd<'_> = input.stdin.fd();
    let mut into = [io::IoSliceMut::new(buffer)];
    match preadv2(fd, &mut into, HERE, ReadWriteFlags::NOWAIT) {
        // Kinds of descriptors that cannot be asked so.
        Err(Os::OPNOTSUPP | Os::NOSYS | Os::INVAL) => {}
        outcome => return outcome,
    }
    if input.is_ready() {
        read(fd, buffer)
    } else {
        Err(Os::AGAIN)
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        let Some(input) = &self.input else { return };
        if input.is_ready() {
            return;
        }
        input.stdin.will_wait();
        // Time blocked on standard input does not count; what the program computes between does.
        let _paused = self.watch.paused();
        input.ready().await;
    }
}
