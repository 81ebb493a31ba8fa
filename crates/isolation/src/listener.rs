//! A listener of the host, which says whether it was spoken to.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

const POLL: Duration = Duration::from_millis(5);
/// How long who connects may take to say the token.
const SAY_LIMIT: Duration = Duration::from_millis(500);
/// Longer than a probe sends.
const SEND_LIMIT: Duration = Duration::from_secs(5);
/// Fewer than these tell of buffers, not of a rate.
const LEAST_BYTES: usize = 1 << 16;
const OWN_NAMESPACE: &str = "/proc/self/ns/net";

/// Listens on one port of every address of the host, and in other network namespaces too. It answers nobody who does
/// not know the token.
#[derive(Debug)]
pub(crate) struct Listener {
    port: u16,
    shared: Arc<Shared>,
    _own: Serving,
    /// By the inode of their namespace.
    beside: Vec<(u64, Serving)>,
}

#[derive(Debug)]
struct Shared {
    token: String,
    spoken: AtomicBool,
    /// Of the last who sent enough after the token to tell, in Mbit a second; 0 for nobody.
    rate_mbit_per_s: AtomicU32,
}

/// A thread that serves one socket until this is dropped.
#[derive(Debug)]
struct Serving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start(socket: TcpListener, shared: Arc<Shared>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new().spawn(move || serve(&socket, &shared, &told))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Listener {
    /// # Errors
    /// No socket or thread is to be had.
    pub(crate) fn start(token: &str) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = socket.local_addr()?.port();
        let shared = Arc::new(Shared {
            token: token.to_owned(),
            spoken: AtomicBool::new(false),
            rate_mbit_per_s: AtomicU32::new(0),
        });
        Ok(Self {
            port,
            _own: Serving::start(socket, Arc::clone(&shared))?,
            shared,
            beside: Vec::new(),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Listens in the network namespace of process `pid` too, where that is not ours, until [`Listener::end_beside`].
    ///
    /// # Errors
    /// The namespace cannot be entered, or the port is taken there.
    pub(crate) fn listen_beside(&mut self, pid: i32) -> io::Result<()> {
        let theirs = format!("/proc/{pid}/ns/net");
        let inode = fs::metadata(&theirs)?.ino();
        let known = self.beside.iter().any(|(known, _)| *known == inode);
        if known || inode == fs::metadata(OWN_NAMESPACE)?.ino() {
            return Ok(());
        }
        let namespace = File::open(theirs)?;
        let port = self.port;
        // A socket stays in the namespace where it was made; so the thread that makes it may end.
        let made = thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        });
        let socket = made
            .join()
            .map_err(|_| io::Error::other("its thread panicked"))??;
        let serving = Serving::start(socket, Arc::clone(&self.shared))?;
        self.beside.push((inode, serving));
        Ok(())
    }

    /// Takes leave of every namespace but ours: a socket would keep them.
    pub(crate) fn end_beside(&mut self) {
        self.beside.clear();
    }

    /// How fast one who knows the token has sent since this was asked last, in Mbit a second, 1 at least; none if nobody sent more
    /// than a greeting. What was sent is counted to its end, which may take a while: it is waited for `within` some time.
    pub(crate) fn take_rate(&self, within: Duration) -> Option<u32> {
        let until = Instant::now() + within;
        loop {
            let rate = self.shared.rate_mbit_per_s.swap(0, Ordering::AcqRel);
            if rate > 0 || Instant::now() >= until {
                return (rate > 0).then_some(rate);
            }
            thread::sleep(POLL);
        }
    }

    /// Whether someone who knows the token has spoken to it since this was asked last.
    pub(crate) fn was_spoken_to(&self) -> bool {
        self.shared.spoken.swap(false, Ordering::AcqRel)
    }
}

fn serve(socket: &TcpListener, shared: &Shared, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        match socket.accept() {
            // Who says nothing, or goes, is not one that was aimed here.
            Ok((stream, _)) => hear(stream, shared).unwrap_or_default(),
            Err(_) => thread::sleep(POLL),
        }
    }
}

fn hear(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SAY_LIMIT))?;
    let mut said = vec![0; shared.token.len()];
    stream.read_exact(&mut said)?;
    if said == shared.token.as_bytes() {
        shared.spoken.store(true, Ordering::Release);
        stream.write_all(b"hello")?;
        if let Some(rate) = rate_mbit_per_s(&mut stream) {
            shared.rate_mbit_per_s.store(rate, Ordering::Release);
        }
    }
    Ok(())
}

/// How fast bytes come, from the first to the last; none where they are too few to tell.
fn rate_mbit_per_s(stream: &mut TcpStream) -> Option<u32> {
    let mut bytes = vec![0; 1 << 16];
    let (mut received, mut first, mut last) = (0_usize, None, Instant::now());
    // An end, an error and a silence are all its end.
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        last = Instant::now();
        if last.duration_since(*first.get_or_insert(last)) > SEND_LIMIT {
            break;
        }
        received += n;
    }
    let spent = last.duration_since(first?);
    if received < LEAST_BYTES || spent.is_zero() {
        return None;
    }
    // Bytes of a few seconds are exact in a double.
    let rate = received as f64 * 8.0 / 1e6 / spent.as_secs_f64();
    Some(rate.round().clamp(1.0, f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_counts() {
        let listener = Listener::start("secret").expect("a listener");
        let say = |words: &[u8]| {
            let mut stream =
                TcpStream::connect(("127.0.0.1", listener.port())).expect("a connection");
            stream.write_all(words).expect("said");
            let mut answer = String::new();
            // One that is not answered is closed.
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        assert_eq!(say(b"public"), "");
        assert!(!listener.was_spoken_to());
        assert_eq!(say(b"secret"), "hello");
        assert!(listener.was_spoken_to());
        assert!(!listener.was_spoken_to());
        assert_eq!(listener.take_rate(Duration::ZERO), None);
    }

    #[test]
    fn who_sends_on_is_counted() {
        let listener = Listener::start("secret").expect("a listener");
        let mut stream = TcpStream::connect(("127.0.0.1", listener.port())).expect("connected");
        stream.write_all(b"secret").expect("said");
        stream.read_exact(&mut [0; 5]).expect("an answer");
        // About 80 Mbit a second, or less on a busy host.
        for _ in 0..20 {
            stream.write_all(&[0; 100_000]).expect("sent");
            thread::sleep(Duration::from_millis(10));
        }
        drop(stream);
        let most = 2_000_000.0 * 8.0 / 1e6 / 0.19;
        let rate = listener.take_rate(Duration::from_secs(30));
        let rate = f64::from(rate.expect("counted"));
        assert!(rate >= 1.0 && rate <= most, "{rate}");
    }
}
