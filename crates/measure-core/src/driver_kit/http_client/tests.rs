//! Against a server of the standard library's, over the loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: function\r\n\r\n";
const ALWAYS: &dyn Fn() -> bool = &|| true;

fn patience(limit: Duration) -> Patience<'static> {
    Patience {
        limit,
        alive: ALWAYS,
    }
}

/// Serves one connection: `answers` to as many requests.
fn serve(listener: TcpListener, answers: &'static [&'static str]) -> JoinHandle<()> {
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("ours"));
        for answer in answers {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            (&stream).write_all(answer.as_bytes()).expect("it reads");
        }
    })
}

fn place(address: SocketAddr) -> Place {
    Place {
        address,
        namespace: None,
    }
}

#[test]
fn one_connection_answers_one_request_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = serve(
        listener,
        &[
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
            "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\ntwo",
        ],
    );
    let mut clock = PhaseClock::start();
    let patience = patience(Duration::from_secs(10));
    let mut connection = place(address)
        .connect(patience, &mut clock)
        .expect("it listens");
    let one = connection.ask(REQUEST, patience, &mut clock).expect("one");
    let two = connection.ask(REQUEST, patience, &mut clock).expect("two");
    assert_eq!((one.status, one.body), (200, b"one".to_vec()));
    assert_eq!((two.status, two.body), (404, b"two".to_vec()));
    let phases = clock.finish().phases;
    let names: Vec<&str> = phases.iter().map(|(name, _)| *name).collect();
    let asked = [phase::FIRST_BYTE, phase::BODY];
    assert_eq!(
        names,
        [&[phase::LISTEN, phase::POLL], &asked[..], &asked[..]].concat()
    );
    server.join().expect("it ends");
}

/// A request with a body that no socket's buffers hold.
fn large() -> Vec<u8> {
    let mut request =
        format!("POST / HTTP/1.1\r\nContent-Length: {LARGE_BYTES}\r\n\r\n").into_bytes();
    request.resize(request.len() + LARGE_BYTES, b'x');
    request
}

const LARGE_BYTES: usize = 16 << 20;

/// What comes of `request` to a server that does `served` with its one connection.
fn asked(
    request: &[u8],
    limit: Duration,
    served: impl FnOnce(TcpStream) + Send + 'static,
) -> Result<Answered, HttpError> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = thread::spawn(move || served(listener.accept().expect("a connection").0));
    let (mut clock, patience) = (PhaseClock::start(), patience(limit));
    let mut connection = place(address)
        .connect(patience, &mut clock)
        .expect("it listens");
    let answered = connection.ask(request, patience, &mut clock);
    drop(connection);
    server.join().expect("it ends");
    answered
}

#[test]
fn a_large_body_that_comes_back_as_it_goes_is_read_while_it_is_sent() {
    let echo = |mut stream: TcpStream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n");
        let mut lines = BufReader::new(stream.try_clone().expect("ours"));
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|n| n > 2) {
            line.clear();
        }
        stream.write_all(head.as_bytes()).expect("it reads");
        io::copy(&mut lines.take(LARGE_BYTES as u64), &mut stream).expect("it reads");
    };
    let answered = asked(&large(), Duration::from_secs(60), echo).expect("all of it");
    assert_eq!((answered.status, answered.body.len()), (200, LARGE_BYTES));
    assert!(answered.stays_open);
}

#[test]
fn who_never_reads_a_large_body_is_not_waited_for_any_longer_than_for_an_answer() {
    let deaf = |stream: TcpStream| {
        thread::sleep(Duration::from_millis(900));
        drop(stream);
    };
    let error = asked(&large(), Duration::from_millis(300), deaf).expect_err("no answer");
    assert!(matches!(error, HttpError::TimedOut(_)), "{error}");
    // Who answers without having read is heard, and asked again over another connection.
    let early = |mut stream: TcpStream| {
        let answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(answer).expect("it reads");
        // Until the other end has gone: what is closed with something unread in it is reset.
        let _ = io::copy(&mut stream, &mut io::sink());
    };
    let answered = asked(&large(), Duration::from_secs(60), early).expect("an answer");
    assert_eq!((answered.status, &*answered.body), (413, &b"no"[..]));
}

#[test]
fn who_answers_drop_by_drop_is_not_waited_for_any_longer_and_what_came_is_told() {
    let drops = |mut stream: TcpStream| {
        let mut head: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        while stream.write_all(head).is_ok() {
            head = b"x";
            thread::sleep(Duration::from_millis(5));
        }
    };
    let limit = Duration::from_millis(300);
    let error = asked(REQUEST, limit, drops).expect_err("not all of it");
    assert!(matches!(error, HttpError::Unfinished { .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains(" of 1000000 bytes"), "{words}");
    let half = |mut stream: TcpStream| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nhalf";
        stream.write_all(answer).expect("it reads");
        let _ = io::copy(&mut stream, &mut io::sink());
    };
    let error = asked(REQUEST, limit, half).expect_err("not all of it");
    assert!(error.to_string().contains("4 of 30 bytes"), "{error}");
}

#[test]
fn an_answer_to_head_has_no_body_whatever_length_it_says() {
    let request = b"HEAD / HTTP/1.1\r\nHost: function\r\n\r\n";
    let server = |mut stream: TcpStream| {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n";
        stream.write_all(answer).expect("it reads");
        let _ = io::copy(&mut stream, &mut io::sink());
    };
    let answered = asked(request, Duration::from_secs(60), server).expect("an answer");
    assert_eq!((answered.status, answered.body.len()), (200, 0));
}

#[test]
fn one_that_listens_late_is_waited_for_and_one_that_never_does_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        let listener = TcpListener::bind(address).expect("still free");
        serve(listener, &[]).join().expect("it ends");
    });
    let mut clock = PhaseClock::start();
    place(address)
        .connect(patience(Duration::from_secs(10)), &mut clock)
        .expect("in the end");
    let phases = clock.finish().phases;
    assert!(phases[0].1 >= 20_000_000, "{phases:?}");
    late.join().expect("it ends");
    let nobody = place(address).connect(
        patience(Duration::from_millis(20)),
        &mut PhaseClock::start(),
    );
    let words = nobody.expect_err("nobody").to_string();
    assert!(words.contains("nothing listened on 127.0.0.1:"), "{words}");
    let gone = Patience {
        limit: Duration::from_secs(10),
        alive: &|| false,
    };
    let error = place(address).connect(gone, &mut PhaseClock::start());
    assert!(matches!(error, Err(HttpError::Ended)));
}
