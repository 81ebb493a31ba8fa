//! An upload server on a port of its own, and a client that need not keep to HTTP.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use nix::unistd::Pid;

use crate::common::{Bench, PATIENCE};

pub struct Server<'a> {
    pub bench: &'a Bench,
    pub child: Child,
    pub address: SocketAddr,
}

/// An answer: status, head and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn says(&self, status: u16, text: &str) {
        assert_eq!((self.status, self.text().as_str()), (status, text));
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl<'a> Server<'a> {
    pub fn start(bench: &'a Bench, args: &[&str]) -> Self {
        let mut command = bench.command("serve --listen 127.0.0.1:0");
        command.args(args);
        Self::start_as(bench, command).expect("a server that listens")
    }

    /// What `command` starts, if it comes to listen.
    pub fn start_as(bench: &'a Bench, mut command: Command) -> Option<Self> {
        let mut child = command
            .env_remove("FAASM_BENCH_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("standard output"))
            .read_line(&mut line)
            .expect("a line");
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.wait();
            return None;
        };
        Some(Self {
            bench,
            child,
            address,
        })
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// As [`Server::connect`], from another address of this host.
    pub fn connect_from(&self, address: Ipv4Addr) -> TcpStream {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        );
        let socket = socket.expect("a socket");
        let own = SockaddrIn::from(SocketAddrV4::new(address, 0));
        bind(socket.as_raw_fd(), &own).expect("an address of this host");
        let SocketAddr::V4(server) = self.address else {
            panic!("a server of IPv4");
        };
        connect(socket.as_raw_fd(), &SockaddrIn::from(server)).expect("a connection");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends `request` as it is and reads to the end.
    pub fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has seen enough may answer and close before all is sent.
        let _ = stream.write_all(request);
        answer(stream)
    }

    pub fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.put_with(path, "", body)
    }

    pub fn put_with(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut request = put_head(path, headers, body.len());
        request.extend_from_slice(body);
        self.raw(&request)
    }

    pub fn get(&self, path: &str, headers: &str) -> Answer {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        kill(pid, signal).expect("a signal");
    }

    /// Every file and directory below the store, whatever its name, but for the lock of whoever changes a function.
    pub fn store(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.bench.home.path().join("store"), &mut found);
        found.retain(|path| !path.ends_with(".lock"));
        found
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        found.push(entry.path());
        walk(&entry.path(), found);
    }
}

pub fn put_head(path: &str, headers: &str, length: usize) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n")
        .into_bytes()
}

/// The most memory that the server has had, in KiB.
pub fn peak_kib(server: &Server<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().nth(1));
    words.expect("a peak").parse().expect("a number")
}

/// What comes on `stream` until it is closed.
pub fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer is no matter.
    let _ = stream.read_to_end(&mut bytes);
    let _ = stream.shutdown(Shutdown::Both);
    // What is said before the answer is none.
    while bytes.starts_with(b"HTTP/1.1 1") {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        bytes.drain(..end.map_or(bytes.len(), |end| end + 4));
    }
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {}", bytes.escape_ascii()));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no status in {head}"));
    Answer {
        status,
        head,
        body: bytes.split_off(end + 4),
    }
}

/// Tokens of some users.
pub struct UsersFile {
    pub path: PathBuf,
}

impl UsersFile {
    /// The head's line with the token of `user`.
    pub fn header(&self, user: &str) -> String {
        format!("authorization: Bearer {}\r\n", token_of(user))
    }
}

/// A token that nobody would guess who does not read this.
pub fn token_of(user: &str) -> String {
    format!("{user}-0123456789abcdef")
}

/// A file with a token for each of `users`.
pub fn users_file(bench: &Bench, users: &[&str]) -> UsersFile {
    let path = bench.home.path().join("users");
    let lines = users
        .iter()
        .map(|user| format!("{user} {}\n", token_of(user)));
    fs::write(&path, lines.collect::<String>()).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
    UsersFile { path }
}
