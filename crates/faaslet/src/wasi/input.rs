//! Standard input of programs with a file context: the same [`Stdin`] that programs without one read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream};
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError, StreamResult};

use super::calls::{must_wait, read_some};
use crate::deadline::Watch;
use crate::stack;
use crate::stdin::Stdin;

/// The most that one call reads.
const READ_MAX_BYTES: usize = 64 << 10;

/// Blocks the calling thread, which is the Faaslet's own.
#[derive(Clone)]
pub(crate) struct Input {
    stdin: Arc<Stdin>,
    watch: Arc<Watch>,
}

impl Input {
    pub(crate) fn new(stdin: Arc<Stdin>, watch: Arc<Watch>) -> Self {
        Self { stdin, watch }
    }

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if !must_wait(self.stdin.fd()) {
            return read_some(self.stdin.fd(), buffer).map_err(io::Error::from);
        }
        stack::release_dead_pages();
        self.stdin.will_wait();
        self.watch
            .pause(|| read_some(self.stdin.fd(), buffer))
            .map_err(io::Error::from)
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
