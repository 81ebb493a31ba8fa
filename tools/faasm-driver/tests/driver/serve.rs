//! The upload server: what it takes, what it refuses, and that nothing refused leaves a trace.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::{Bench, PATIENCE, assert_mentions, module};
use crate::modules as m;
use crate::server::{Server, answer, put_head};

#[test]
fn what_is_put_can_be_got_and_run() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let (noop, exit3) = (module(m::NOOP), module(m::EXIT_3));
    server
        .put("/f/demo/noop", &exit3)
        .says(201, "demo/noop: installed\n");
    server
        .put("/f/demo/noop", &noop)
        .says(200, "demo/noop: replaced\n");
    server
        .put("/f/demo/noop", &noop)
        .says(200, "demo/noop: unchanged\n");
    let got = server.get("/f/demo/noop", "");
    assert_eq!((got.status, &got.body), (200, &noop));
    let tag = got
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("an entity tag");
    let same = server.get("/f/demo/noop", &format!("if-none-match: {tag}\r\n"));
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(server.get("/f/demo/nop", "").status, 404);
    // Compiled, and its old code gone.
    let code = server
        .store()
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
        .count();
    assert_eq!(code, 1);
    bench.ok("time 1 --rung wasm");
}

#[test]
fn a_body_may_come_in_chunks_and_a_side_be_closed_after_it() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let noop = module(m::NOOP);
    let mut request =
        b"PUT /f/demo/noop HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for part in noop.chunks(7) {
        request.extend(format!("{:x}\r\n", part.len()).bytes());
        request.extend_from_slice(part);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let mut stream = server.connect();
    stream.write_all(&request).expect("sent");
    stream.shutdown(Shutdown::Write).expect("closed");
    assert_eq!(answer(stream).status, 201);
    assert_eq!(server.get("/f/demo/noop", "").body, noop);
}

#[test]
fn names_that_are_none_and_ways_out_of_the_store_are_refused() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let long = format!("/f/demo/{}", "x".repeat(65));
    for path in [
        "/",
        "/f",
        "/f/demo",
        "/f/demo/",
        "/f//noop",
        "/f/demo/noop/",
        "/f/demo/noop/x",
        "/f/../noop",
        "/f/demo/..",
        "/f/demo/../../../etc/cron.d/x",
        "/f/%2e%2e/noop",
        "/f/demo/%2e%2e",
        "/f/demo/..%2f..%2fx",
        "/f/demo/%2fetc%2fpasswd",
        "/f/demo/x%2fy",
        "/f/demo/%252e%252e",
        "/f/demo/.hidden",
        "/f/demo/x%00y",
        "/f/demo/%ff%fe",
        "/f/demo/x%0ay",
        "/f/demo/x%20y",
        "/f/demo/n%C3%B6",
        "/f/demo/x\\..\\y",
        "/F/demo/noop",
        &long,
    ] {
        let put = server.put(path, &module(m::NOOP));
        assert!(matches!(put.status, 400 | 404), "{path}: {put:?}");
        let got = server.get(path, "");
        assert!(matches!(got.status, 400 | 404), "{path}: {got:?}");
        assert!(
            !put.text().trim_end().contains(char::is_control),
            "{path}: {put:?}"
        );
    }
    for method in ["POST", "DELETE", "PATCH", "OPTIONS"] {
        let refused = server
            .raw(format!("{method} /f/demo/noop HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes());
        assert_eq!(refused.status, 405, "{method}: {refused:?}");
    }
    assert_eq!(server.store(), Vec::<std::path::PathBuf>::new());
    let beside: Vec<_> = fs::read_dir(bench.home.path()).expect("entries").collect();
    assert!(beside.len() <= 1, "{beside:?}");
}

#[test]
fn bodies_that_are_no_program_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let server = Server::start(&bench, &["--max-bytes", "100000"]);
    let foreign = module(
        r#"(module (import "env" "system" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    let mut truncated = module(m::PARK);
    truncated.truncate(truncated.len() - 5);
    let cases: [(&[u8], u16, &str); 8] = [
        (b"", 400, "no body"),
        (b"hello", 422, "not a WebAssembly binary"),
        (b"\x7fELF\x02\x01\x01", 422, "not a WebAssembly binary"),
        (b"\0asm\x01\0\0\0\xff\xff\xff", 422, "not a valid module"),
        (&truncated, 422, "not a valid module"),
        (&foreign, 422, "env.system"),
        (b"\0asm\x01\0\0\0", 422, "_start"),
        (&[0; 100_001], 413, "100000 bytes"),
    ];
    for (body, status, says) in cases {
        let put = server.put("/f/demo/bad", body);
        assert_eq!(put.status, status, "{says}: {put:?}");
        assert_mentions(&put.text(), &[says]);
        assert_eq!(server.store().len(), 0, "{says}: {:?}", server.store());
    }
    // Nothing but a claim is needed to refuse what is too large.
    let claimed = server.raw(&put_head(
        "/f/demo/bad",
        "expect: 100-continue\r\n",
        1 << 40,
    ));
    assert_eq!(claimed.status, 413, "{claimed:?}");
    // In chunks, without any claim.
    let mut chunked =
        b"PUT /f/demo/bad HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for _ in 0..200 {
        chunked.extend(b"400\r\n");
        chunked.extend([0; 0x400]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(server.raw(&chunked).status, 413);
    for head in [
        "PUT /f/demo/bad HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "PUT /f/demo/bad HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_owned(),
        "PUT\r\n\r\n".to_owned(),
        format!("PUT /f/demo/bad HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000)),
    ] {
        let refused = server.raw(head.as_bytes());
        assert!(matches!(refused.status, 400 | 431), "{refused:?}");
    }
    assert_eq!(server.store().len(), 0, "{:?}", server.store());
}

#[test]
fn what_is_refused_does_not_replace_what_is_there() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    let server = Server::start(&bench, &[]);
    let before = server.store();
    assert_eq!(
        server.put("/f/demo/noop", b"\0asm\x01\0\0\0\xff").status,
        422
    );
    let dir = bench.function_dir("noop");
    fs::set_permissions(&dir, Permissions::from_mode(0o777)).expect("permissions");
    let put = server.put("/f/demo/noop", &module(m::EXIT_3));
    assert_eq!(put.status, 500, "{put:?}");
    assert_mentions(&put.text(), &["chmod go-w"]);
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("permissions");
    assert_eq!(server.store(), before);
    assert_eq!(server.get("/f/demo/noop", "").body, module(m::NOOP));
    bench.ok("time 1 --rung wasm");
}

#[test]
fn clients_that_stall_are_sent_away() {
    let bench = Bench::new();
    let server = Server::start(&bench, &["--timeout", "1"]);
    let noop = module(m::NOOP);
    let mut half = put_head("/f/demo/half", "", noop.len());
    half.extend_from_slice(&noop[..noop.len() / 2]);
    let nothing_sent = put_head("/f/demo/none", "", 5);
    let (server, half) = (&server, &half);
    // Side by side, as each waits for its timeout.
    thread::scope(|scope| {
        for said in [&b""[..], b"PUT /f/demo", &nothing_sent, half] {
            scope.spawn(move || {
                let refused = server.raw(said);
                assert_eq!(refused.status, 408, "{}", said.escape_ascii());
            });
        }
        // A byte now and then is no progress.
        let mut stream = server.connect();
        stream
            .write_all(&put_head("/f/demo/drip", "", 1_000_000))
            .expect("sent");
        let begun = Instant::now();
        while stream.write_all(b"\0").is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it still listens");
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(server.store().len(), 0, "{:?}", server.store());
}

#[test]
fn clients_that_go_away_leave_nothing_and_keep_nobody_out() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let noop = module(m::NOOP);
    let mut half = put_head("/f/demo/half", "", noop.len());
    half.extend_from_slice(&noop[..noop.len() / 2]);
    for said in [
        &b""[..],
        b"PUT /f/de",
        &put_head("/f/demo/none", "", 9),
        &half,
    ] {
        for _ in 0..10 {
            let mut stream = server.connect();
            stream.write_all(said).expect("sent");
        }
    }
    // Some that stay, more than there are places for bodies.
    let idle: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /f/").expect("sent");
            stream
        })
        .collect();
    assert_eq!(server.put("/f/demo/noop", &noop).status, 201);
    drop(idle);
    let names: Vec<_> = server
        .store()
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .filter(|name| !name.ends_with(".cwasm"))
        .collect();
    assert_eq!(names, ["demo", "noop", "function.wasm"]);
}

#[test]
fn uploads_of_one_function_at_once_leave_one_of_them_whole() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    // Alike but for what they return, so that any mixture would be noticed.
    let modules: Vec<Vec<u8>> = (0..8)
        .map(|i| {
            module(&format!(
                r#"(module (memory (export "memory") 1) (func (export "_start"))
                    (func (export "which") (result i32) (i32.const {i})))"#
            ))
        })
        .collect();
    thread::scope(|scope| {
        for module in &modules {
            scope.spawn(|| {
                let put = server.put("/f/demo/noop", module);
                assert!(matches!(put.status, 200 | 201), "{put:?}");
            });
        }
    });
    let installed = server.get("/f/demo/noop", "").body;
    assert!(modules.contains(&installed));
    let files = server.store();
    assert_eq!(files.len(), 4, "{files:?}");
    let ran = bench.run("codegen");
    assert_mentions(&ran.stdout, &["demo/noop: up to date"]);
    bench.ok("time 1 --rung wasm");
}

#[test]
fn other_hosts_need_the_token() {
    let bench = Bench::new();
    let token = "0123456789abcdef0123456789abcdef";
    let file = bench.home.path().join("token");
    fs::write(&file, format!("{token}\n")).expect("written");
    let path = file.to_str().expect("a path");
    for args in [
        "serve --listen 0.0.0.0:0",
        "serve --listen [::]:0",
        "serve --listen example.com:80",
        "serve --max-bytes 0",
        "serve --timeout -1",
    ] {
        bench.fails(2, args, &[]);
    }
    let guessable = bench
        .command("serve")
        .env("FAASM_BENCH_TOKEN", "secret")
        .output();
    assert_eq!(guessable.expect("the driver").status.code(), Some(2));

    // The later --listen of the two would be refused without the token.
    let server = Server::start(&bench, &["--token-file", path]);
    let noop = module(m::NOOP);
    for headers in [
        String::new(),
        format!("authorization: Bearer {}\r\n", &token[..31]),
        format!("authorization: Bearer {token}x\r\n"),
        format!("authorization: Basic {token}\r\n"),
        "authorization: Bearer \r\n".to_owned(),
    ] {
        let put = server.put_with("/f/demo/noop", &headers, &noop);
        assert_eq!(put.status, 401, "{headers}");
        assert_eq!(
            server.get("/f/demo/noop", &headers).status,
            401,
            "{headers}"
        );
        assert!(!put.text().contains(token));
    }
    assert_eq!(server.store().len(), 0);
    let right = format!("authorization: Bearer {token}\r\n");
    assert_eq!(server.put_with("/f/demo/noop", &right, &noop).status, 201);
    assert_eq!(server.get("/f/demo/noop", &right).body, noop);
}

#[test]
fn pages_in_a_browser_cannot_use_a_name_of_theirs() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let noop = module(m::NOOP);
    let mut request = format!(
        "PUT /f/demo/noop HTTP/1.1\r\nhost: evil.example\r\ncontent-length: {}\r\n\r\n",
        noop.len()
    )
    .into_bytes();
    request.extend_from_slice(&noop);
    assert_eq!(server.raw(&request).status, 421);
    assert_eq!(server.store().len(), 0);
}

#[test]
fn a_port_in_use_is_named() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    bench.fails(
        6,
        &format!("serve --listen {}", server.address),
        &[&server.address.to_string(), "in use"],
    );
}

#[test]
fn a_signal_ends_the_server_after_what_is_under_way() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let bench = Bench::new();
        let mut server = Server::start(&bench, &[]);
        let noop = module(m::NOOP);
        let idle = server.connect();
        let mut stream = server.connect();
        // The server has asked for the body when it answers this head.
        stream
            .write_all(&put_head(
                "/f/demo/noop",
                "expect: 100-continue\r\n",
                noop.len(),
            ))
            .expect("sent");
        let mut go = [0; 25];
        std::io::Read::read_exact(&mut stream, &mut go).expect("a go-ahead");
        assert!(go.starts_with(b"HTTP/1.1 100"), "{}", go.escape_ascii());
        server.signal(signal);
        stream.write_all(&noop).expect("sent");
        assert_eq!(answer(stream).status, 201);
        let status = server.child.wait().expect("an end");
        assert_eq!(status.code(), Some(code));
        drop(idle);
        bench.ok("time 1 --rung wasm");
    }
}
