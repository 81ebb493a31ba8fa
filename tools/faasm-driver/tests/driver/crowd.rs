//! The upload server among clients that want all of it, or break off, or do not keep to what they said.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use driver_testkit::eventually;

use crate::common::{Bench, assert_mentions, module};
use crate::modules as m;
use crate::server::{Server, answer, peak_kib, put_head};

const MODULE_BYTES: u64 = 100 << 20;

#[test]
fn answers_that_nobody_reads_are_not_kept_in_memory() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    // As long as a module may be, most of it a hole in the file.
    let path = bench.function_dir("noop").join("function.wasm");
    let file = File::options().write(true).open(&path).expect("the module");
    file.set_len(MODULE_BYTES).expect("longer");
    let server = Server::start(&bench, &[]);
    let unread: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = server.connect();
            stream
                .write_all(b"GET /f/demo/noop HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .expect("sent");
            stream
        })
        .collect();
    for mut stream in &unread {
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).expect("an answer");
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
    // One that is read comes whole.
    let got = server.get("/f/demo/noop", "");
    assert_eq!(got.body.len() as u64, MODULE_BYTES);
    assert_mentions(&got.head, &["content-length: 104857600"]);
    let peak = peak_kib(&server);
    println!("peak with 30 unread answers of 100 MiB: {peak} KiB");
    assert!(peak < 128 << 10, "{peak} KiB");
    // Uploads go on beside them.
    assert_eq!(server.put("/f/demo/other", &module(m::NOOP)).status, 201);
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let silent: Vec<_> = (0..300)
        .map(|i| {
            let mut stream = server.connect();
            if i % 2 == 0 {
                let _ = stream.write_all(b"PUT /f/demo/noop HTTP/1.1\r\nx: ");
            }
            stream
        })
        .collect();
    thread::sleep(Duration::from_secs(1));
    let put = server.put("/f/demo/noop", &module(m::NOOP));
    assert_eq!(put.status, 201, "{put:?}");
    drop(silent);
}

#[test]
fn heads_without_bodies_keep_out_nobody_else() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let head = put_head("/f/demo/slow", "", 1_000_000);
    let _crowd: Vec<_> = (0..300)
        .map(|_| {
            let mut stream = server.connect();
            let _ = stream.write_all(&head);
            stream
        })
        .collect();
    let noop = module(m::NOOP);
    let mut other = server.connect_from(Ipv4Addr::new(127, 0, 0, 2));
    let mut request = put_head("/f/demo/noop", "", noop.len());
    request.extend_from_slice(&noop);
    other.write_all(&request).expect("sent");
    let put = answer(other);
    assert_eq!(put.status, 201, "{put:?}");
}

#[test]
fn slow_uploads_have_a_share_and_give_way() {
    let bench = Bench::new();
    let server = Server::start(&bench, &["--timeout", "3"]);
    let slow: Vec<_> = (0..16)
        .map(|i| {
            let mut stream = server.connect();
            // More than is asked of those that stand in nobody's way.
            let head = put_head(&format!("/f/demo/slow{i}"), "", 100_000_000);
            stream.write_all(&head).expect("sent");
            let _ = stream.write_all(&vec![0; 1_000_000]);
            stream
        })
        .collect();
    let noop = module(m::NOOP);
    let mut turned_away = None;
    eventually("a share that is used up", || {
        let put = server.put("/f/demo/noop", &noop);
        let status = put.status;
        if status == 429 {
            turned_away = Some(put);
        }
        status == 429
    });
    let put = turned_away.expect("an answer");
    assert_mentions(&put.head, &["retry-after: "]);
    eventually("a place", || {
        matches!(server.put("/f/demo/noop", &noop).status, 200 | 201)
    });
    for stream in slow {
        let ended = answer(stream);
        assert_eq!(ended.status, 408, "{ended:?}");
    }
}

#[test]
fn what_comes_after_a_request_or_is_missing_from_it_does_no_harm() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let noop = module(m::NOOP);
    let put = |name: &str, length: usize, body: &[u8]| {
        let mut request = put_head(&format!("/f/demo/{name}"), "", length);
        request.extend_from_slice(body);
        request
    };
    // Of two requests in one the first is answered, then the connection closed.
    let mut both = put("first", noop.len(), &noop);
    both.extend(put("second", noop.len(), &noop));
    let first = server.raw(&both);
    assert_eq!(first.status, 201, "{first:?}");
    assert!(!first.text().contains("HTTP/1.1"), "{first:?}");
    // Less than was announced, and an end; more than was announced.
    let mut stream = server.connect();
    stream
        .write_all(&put("less", noop.len() + 1, &noop))
        .expect("sent");
    drop(stream);
    assert_eq!(server.raw(&put("more", noop.len() - 1, &noop)).status, 422);
    // Chunks that are none, that break off, and a length besides.
    let chunked =
        "PUT /f/demo/chunks HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
    for (request, status) in [
        (format!("{chunked}\r\nzz\r\n"), 400),
        (format!("{chunked}\r\nffffffffffffffffff\r\n"), 400),
        (
            format!("{chunked}content-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
            422,
        ),
    ] {
        let refused = server.raw(request.as_bytes());
        assert!(
            matches!(refused.status, 400 | 408 | 422),
            "{request}: {refused:?}, expected {status}"
        );
    }
    let mut stream = server.connect();
    stream
        .write_all(format!("{chunked}\r\n5\r\nab").as_bytes())
        .expect("sent");
    drop(stream);
    // Hundreds that break off at each point of a request.
    let whole = put("broken", noop.len(), &noop);
    for end in (0..whole.len()).step_by(3) {
        let mut stream = server.connect();
        stream.write_all(&whole[..end]).expect("sent");
    }
    assert_eq!(server.put("/f/demo/last", &noop).status, 201);
    assert_eq!(bench.run("list").stdout, "demo/first\ndemo/last\n");
}
