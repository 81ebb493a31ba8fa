//! As much of HTTP/1.1 (RFC 9112) as it takes to time a handler: one request after the other over a connection, nothing but system
//! calls between a reading of the clock and the next. Stands in for hyper's client, whose tasks would be in the measured path.

mod answer;
mod error;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt};

use crate::base::clock::{PhaseClock, now_ns};
use crate::base::interrupt;

pub use answer::Answered;
use answer::Arriving;
pub use error::HttpError;

/// How often it is tried whether a handler listens.
pub const POLL: Duration = Duration::from_micros(50);
/// How long a wait for an answer goes on before anyone asks whether it is still worth while.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long one try to connect may take where nobody refuses it.
const CONNECT: Duration = Duration::from_secs(1);
/// How often it is looked whether the handler is still there while it does not listen.
const LOOK_NS: u64 = 1_000_000;

/// Phases of asking.
pub mod phase {
    pub use crate::contract::vocabulary::phase::{FIRST_BYTE, POLL};

    /// Until the last time that nobody listened yet.
    pub const LISTEN: &str = "listen";
    /// From the first byte of an answer to its last.
    pub const BODY: &str = "body";
}

/// How long to wait, and for whom.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// How long.
    pub limit: Duration,
    /// Whether the handler is still there.
    pub alive: &'a dyn Fn() -> bool,
}

impl Patience<'_> {
    /// Whether it is worth while to wait on, until `deadline`.
    fn worth_while(&self, deadline: Instant) -> Result<(), HttpError> {
        if interrupt::received().is_some() {
            return Err(HttpError::Interrupted);
        }
        if !(self.alive)() {
            return Err(HttpError::Ended);
        }
        if Instant::now() >= deadline {
            return Err(HttpError::TimedOut(self.limit));
        }
        Ok(())
    }
}

/// Where a handler listens.
#[derive(Debug)]
pub struct Place {
    /// Its address, as seen from there.
    pub address: SocketAddr,
    /// The network namespace from which it is reached, if that is not ours.
    pub namespace: Option<File>,
}

impl Place {
    /// Connects, as soon as somebody listens: phases [`phase::LISTEN`] and [`phase::POLL`].
    ///
    /// # Errors
    /// Nobody does in time.
    pub fn connect(
        &self,
        patience: Patience<'_>,
        clock: &mut PhaseClock,
    ) -> Result<Connection, HttpError> {
        exact_sleeps();
        let deadline = Instant::now() + patience.limit;
        let (mut refused_ns, mut looked_ns) = (None, now_ns());
        loop {
            match self.try_connect() {
                Ok(stream) => {
                    let connected_ns = now_ns();
                    clock.lap_at(phase::LISTEN, refused_ns.unwrap_or(connected_ns));
                    clock.lap_at(phase::POLL, connected_ns);
                    return Connection::over(stream);
                }
                Err(HttpError::Socket(error)) if is_refusal(&error) => {}
                Err(error) => return Err(error),
            }
            let now = now_ns();
            refused_ns = Some(now);
            if interrupt::received().is_some() {
                return Err(HttpError::Interrupted);
            }
            if now - looked_ns >= LOOK_NS {
                looked_ns = now;
                if !(patience.alive)() {
                    return Err(HttpError::Ended);
                }
                if Instant::now() >= deadline {
                    let (address, limit) = (self.address, patience.limit);
                    return Err(HttpError::NotListening { address, limit });
                }
            }
            thread::sleep(POLL);
        }
    }

    fn try_connect(&self) -> Result<TcpStream, HttpError> {
        let Some(namespace) = &self.namespace else {
            return Ok(TcpStream::connect_timeout(&self.address, CONNECT)?);
        };
        let own = File::open("/proc/thread-self/ns/net")?;
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(HttpError::Namespace)?;
        let stream = TcpStream::connect_timeout(&self.address, CONNECT);
        // A socket stays in the namespace that it was made in.
        setns(&own, CloneFlags::CLONE_NEWNET).map_err(HttpError::Namespace)?;
        Ok(stream?)
    }
}

/// Whether somebody may yet come to listen there: nobody does, or the address is not there yet.
fn is_refusal(error: &io::Error) -> bool {
    use ErrorKind::{
        AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | AddrNotAvailable
            | TimedOut
    )
}

/// Has this thread's sleeps end when they are to: by default the kernel adds up to 50 us.
fn exact_sleeps() {
    // SAFETY: takes numbers only, and is about the calling thread alone.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// A connection, for one request after the other. Dropped, it is reset, so that nothing of it stays with the kernel.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What is read at once.
const BUFFER_BYTES: usize = 64 << 10;

impl Connection {
    fn over(stream: TcpStream) -> Result<Self, HttpError> {
        let at_once = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&stream, sockopt::Linger, &at_once).map_err(io::Error::from)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    /// Sends `request` and takes its answer: phases [`phase::FIRST_BYTE`] and [`phase::BODY`].
    ///
    /// # Errors
    /// It is not answered, not by HTTP or not in time.
    pub fn ask(
        &mut self,
        request: &[u8],
        patience: Patience<'_>,
        clock: &mut PhaseClock,
    ) -> Result<Answered, HttpError> {
        let mut unsent = self.send(request)?;
        let deadline = Instant::now() + patience.limit;
        let mut arriving = Arriving::answer_to(request);
        let mut began = false;
        loop {
            if !unsent.is_empty() {
                let ready = self.ready()?;
                let goes_on = ready.contains(PollFlags::POLLOUT);
                if goes_on {
                    unsent = self.send(unsent)?;
                }
                if !ready.contains(PollFlags::POLLIN) {
                    if !goes_on || Instant::now() >= deadline {
                        patience.worth_while(deadline)?;
                    }
                    continue;
                }
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => {
                    clock.lap(phase::BODY);
                    return arriving.closed();
                }
                Ok(n) => {
                    if !began {
                        clock.lap(phase::FIRST_BYTE);
                        began = true;
                    }
                    if let Some(mut answered) = arriving.take(&self.buffer[..n])? {
                        clock.lap(phase::BODY);
                        // What it has not read of this request it would take for the next one.
                        answered.stays_open &= unsent.is_empty();
                        return Ok(answered);
                    }
                    // Who sends a little again and again never lets a read run out of time.
                    if Instant::now() >= deadline {
                        patience
                            .worth_while(deadline)
                            .map_err(|e| arriving.late(e))?;
                    }
                }
                Err(error) if !is_pause(&error) => return Err(error.into()),
                Err(_) => patience
                    .worth_while(deadline)
                    .map_err(|e| arriving.late(e))?,
            }
        }
    }

    /// Sends what the kernel takes of `bytes` at once; the rest. There is none where nobody reads any more, as who has answered already
    /// may.
    fn send<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], HttpError> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.stream.as_raw_fd(), bytes, flags) {
            Ok(sent) => Ok(&bytes[sent..]),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(bytes),
            Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(&[]),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Whether more can be sent, or something has come; nothing of both after a while.
    fn ready(&self) -> Result<PollFlags, HttpError> {
        let wanted = PollFlags::POLLIN | PollFlags::POLLOUT;
        let mut fds = [PollFd::new(self.stream.as_fd(), wanted)];
        let limit = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let ready = fds[0].revents().unwrap_or(PollFlags::empty());
        // What has broken off is told by reading.
        let broken = PollFlags::POLLERR | PollFlags::POLLHUP;
        Ok(match ready.intersects(broken) {
            true => ready | PollFlags::POLLIN,
            false => ready,
        })
    }
}

fn is_pause(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

#[cfg(test)]
mod tests;
