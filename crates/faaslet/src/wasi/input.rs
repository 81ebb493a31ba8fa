//! Standard input of programs with a file context: the same [`Stdin`] that programs without one read.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use super::calls::{must_wait, read_some};
use crate::stack;
use crate::stdin::Stdin;

/// The most that one call reads.
const READ_MAX_BYTES: usize = 64 << 10;

/// When a program last went on after it had waited for input. That time does not count against its
/// deadline.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastWait(Arc<Mutex<Option<Instant>>>);

impl LastWait {
    pub(crate) fn ended(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Blocks the calling thread, which is the Faaslet's own.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    stdin: Arc<Stdin>,
    last_wait: LastWait,
}

impl Input {
    pub(crate) fn new(stdin: Arc<Stdin>, last_wait: LastWait) -> Self {
        Self { stdin, last_wait }
    }

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if !must_wait(self.stdin.fd()) {
            return read_some(self.stdin.fd(), buffer).map_err(io::Error::from);
        }
        stack::release_dead_pages();
        self.stdin.will_wait();
        let read = read_some(self.stdin.fd(), buffer).map_err(io::Error::from);
        self.last_wait.ends_now();
        read
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {}
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffer = vec![0; size.min(READ_MAX_BYTES)];
        let n = self
            .read_some(&mut buffer)
            .map_err(|e| StreamError::LastOperationFailed(e.into()))?;
        if n == 0 && !buffer.is_empty() {
            return Err(StreamError::Closed);
        }
        buffer.truncate(n);
        Ok(buffer.into())
    }
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.read_some(buffer.initialize_unfilled());
        Poll::Ready(read.map(|n| buffer.advance(n)))
    }
}
