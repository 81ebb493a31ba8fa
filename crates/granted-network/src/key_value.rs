//! A small key-value server for `demo/fetch` to ask: of the protocol of Redis (RESP) it speaks `GET`, over one key.

use std::io;
use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::background::Background;

/// The key that has a value.
pub const KEY: &str = "kilobyte";
/// How many bytes that has: letters in turn, from `a`.
pub const VALUE_BYTES: usize = 1024;

/// Connections at once; others wait.
const CONNECTIONS: usize = 256;
/// How long one may say nothing.
const IDLE: Duration = Duration::from_secs(60);
/// The longest line, and the longest word, that is read.
const MOST_BYTES: usize = 512;
/// The most words of a request.
const MOST_WORDS: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// A server at work. Dropping it ends it.
#[derive(Debug)]
pub struct KeyValueServer {
    address: SocketAddr,
    _thread: Background,
}

impl KeyValueServer {
    /// Answers at `listener`.
    ///
    /// # Errors
    /// No thread or no descriptors.
    pub fn start(listener: Listener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let thread = Background::start("key-value", || {
            listener.set_nonblocking(true)?;
            Ok(serve(TcpListener::from_std(listener)?))
        })?;
        Ok(Self {
            address,
            _thread: thread,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The value of [`KEY`].
#[must_use]
pub fn value() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(VALUE_BYTES).collect()
}

async fn serve(listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    // Whoever breaks off has gone.
                    let _ = answer_all(stream).await;
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn answer_all(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(words) = timeout(IDLE, request(&mut stream)).await?? {
        stream.write_all(&answer(&words)).await?;
    }
    Ok(())
}

/// The next request, an array of strings; `None` at the end.
async fn request(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(head) = line(stream).await? else {
        return Ok(None);
    };
    let count = number_after(b'*', &head).filter(|&count| count <= MOST_WORDS);
    let mut words = Vec::new();
    for _ in 0..count.ok_or_else(malformed)? {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let head = line(stream).await?.ok_or_else(ended)?;
        let length = number_after(b'$', &head).filter(|&length| length <= MOST_BYTES);
        let mut word = vec![0; length.ok_or_else(malformed)? + 2];
        stream.read_exact(&mut word).await?;
        if !word.ends_with(b"\r\n") {
            return Err(malformed());
        }
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Ok(Some(words))
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut bounded = stream.take(MOST_BYTES as u64);
    match bounded.read_until(b'\n', &mut line).await? {
        0 => Ok(None),
        _ => match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(Some(line.to_vec())),
            None => Err(malformed()),
        },
    }
}

fn number_after(mark: u8, line: &[u8]) -> Option<usize> {
    let (&first, digits) = line.split_first()?;
    (first == mark).then_some(digits)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn answer(words: &[Vec<u8>]) -> Vec<u8> {
    match words {
        [command, key] if command.eq_ignore_ascii_case(b"GET") => {
            if key != KEY.as_bytes() {
                return b"$-1\r\n".to_vec();
            }
            let mut answer = format!("${VALUE_BYTES}\r\n").into_bytes();
            answer.extend(value());
            answer.extend(b"\r\n");
            answer
        }
        _ => b"-ERR this server knows GET of one key alone\r\n".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream as Stream;

    use super::*;

    fn ask(request: &[u8]) -> Vec<u8> {
        let listener = Listener::bind("127.0.0.1:0").expect("a port");
        let server = KeyValueServer::start(listener).expect("a server");
        let mut stream = Stream::connect(server.address()).expect("connected");
        stream.write_all(request).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("ended");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        answer
    }

    #[test]
    fn the_key_has_its_value_others_have_none_and_other_commands_are_refused() {
        let get = |key: &str| format!("*2\r\n$3\r\nget\r\n${}\r\n{key}\r\n", key.len());
        let kilobyte = ask(get(KEY).as_bytes());
        assert!(kilobyte.starts_with(b"$1024\r\nabc"));
        assert_eq!(kilobyte.len(), 7 + VALUE_BYTES + 2);
        let both = ask((get("other") + "*1\r\n$4\r\nPING\r\n").as_bytes());
        assert!(both.starts_with(b"$-1\r\n-ERR"), "{both:?}");
    }

    #[test]
    fn what_is_no_request_ends_the_connection() {
        for request in [
            &b"GET kilobyte\r\n"[..],
            b"*9\r\n",
            b"*1\r\n$99999\r\n",
            b"*1\r\n$1\r\nabc",
            b"\n",
            b"*-1\r\n",
            &[0xff; 4096],
        ] {
            assert_eq!(ask(request), b"", "{request:?}");
        }
    }
}
