//! Against a server of the standard library's, over the loopback.

use std::io::{BufRead, BufReader};
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
