//! Modules that are dear to compile: each is refused by a limit that the message names, nothing is left, and nobody else waits for them.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use driver_testkit::{alive, children, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{Bench, assert_mentions, module};
use crate::modules as m;
use crate::server::{Server, answer, put_head, users_file};

/// Loops within loops, each of which carries all locals: 900 of 2000 are 35 KB of module, gigabytes of memory and many seconds of CPU time.
fn dear(loops: usize, locals: usize) -> Vec<u8> {
    let mut wat = String::from(r#"(module (memory (export "memory") 1) (func (export "_start")"#);
    wat.push_str(&format!("(local {})", "i32 ".repeat(locals)));
    let sum = |to: usize, a: usize, b: usize| {
        let (to, a, b) = (to % locals, a % locals, b % locals);
        format!("(local.set {to} (i32.add (local.get {a}) (local.get {b})))")
    };
    for i in 0..loops {
        wat.push_str("(loop ");
        wat.push_str(&sum(i, 7 * i, 13 * i + 1));
    }
    for i in 0..locals {
        wat.push_str(&sum(i, i, 31 * i + 7));
    }
    for i in 0..loops {
        wat.push_str(&format!("(br_if 0 (local.get {})))", 3 * i % locals));
    }
    wat.push_str("))");
    module(&wat)
}

/// Room for [`dear`] modules, which tests stop before they use much of it.
const ROOM: [&str; 4] = ["--compile-memory", "16384", "--compile-seconds", "3600"];

/// The process that compiles for `pid`, stopped so that it cannot come to its end.
fn stopped_compiler(pid: i32, others: &[i32]) -> i32 {
    let mut found = None;
    eventually("a process that compiles", || {
        found = children(pid).into_iter().find(|child| {
            let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            !others.contains(child) && line.windows(14).any(|w| w == b"compile-module")
        });
        found.is_some()
    });
    let child = found.expect("found");
    kill(Pid::from_raw(child), Signal::SIGSTOP).expect("stopped");
    child
}

fn id_of(server: &Server<'_>) -> i32 {
    server.child.id().try_into().expect("a process id")
}

fn put_dear(server: &Server<'_>, path: &str, headers: &str, wasm: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    let mut request = put_head(path, headers, wasm.len());
    request.extend_from_slice(wasm);
    stream.write_all(&request).expect("sent");
    stream
}

#[test]
fn what_takes_too_much_is_refused_by_name_of_the_limit() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    let wasm = dear(900, 2000);
    assert!(wasm.len() < 64 << 10, "{} bytes", wasm.len());
    let file = bench.home.path().join("dear.wasm");
    fs::write(&file, &wasm).expect("written");
    let memory = ["MiB of memory", "--compile-memory", "demo/dear"];
    let upload = format!("upload demo dear {}", file.display());
    let little = "--compile-memory 64";
    // The usual limit is four times as far, and an unoptimised compiler takes seconds to get there.
    let limit = if cfg!(debug_assertions) { little } else { "" };
    bench.fails(1, &format!("{limit} {upload}"), &memory);
    let cpu = "--compile-memory 16384 --compile-seconds 1";
    bench.fails(
        1,
        &format!("{cpu} {upload}"),
        &["CPU time", "--compile-seconds"],
    );
    assert_eq!(bench.run("list").stdout, "demo/noop\n");
    assert!(!bench.function_dir("dear").exists());

    // What is in the store already, and is compiled when it is first used.
    fs::create_dir(bench.function_dir("dear")).expect("a directory");
    fs::copy(&file, bench.function_dir("dear").join("function.wasm")).expect("copied");
    bench.fails(1, &format!("{little} codegen demo/dear"), &memory);
    bench.fails(
        1,
        &format!("{little} time 1 --rung wasm --function demo/dear"),
        &memory,
    );
    let ran = driver_testkit::run(
        bench
            .command("codegen demo/dear")
            .env("FAASM_BENCH_COMPILE_MEMORY", "80"),
    );
    assert_mentions(&ran.expect(1).stderr, &["80 MiB"]);
    for (variable, says) in [
        ("FAASM_BENCH_COMPILE_MEMORY", "300 MiB"),
        ("FAASM_BENCH_COMPILE_SECONDS", "0"),
    ] {
        let ran = driver_testkit::run(bench.command("codegen").env(variable, says));
        assert_mentions(&ran.expect(2).stderr, &[variable, "whole number"]);
    }
    bench.fails(2, "--compile-seconds 0 codegen", &["--compile-seconds"]);
    bench.ok("time 1 --rung wasm");
}

#[test]
fn what_only_the_program_itself_asks_for_is_not_for_users() {
    let bench = Bench::new();
    let ran = bench.fails(1, "compile-module", &["own use"]);
    assert_eq!(ran.stdout, "");
    let ran = bench.run("--help");
    assert!(!ran.stdout.contains("compile-module"), "{}", ran.stdout);
}

#[test]
fn a_signal_ends_the_compiler_with_the_command() {
    let bench = Bench::new();
    let file = bench.home.path().join("dear.wasm");
    fs::write(&file, dear(900, 2000)).expect("written");
    for (signal, code) in [
        (Signal::SIGINT, Some(130)),
        (Signal::SIGTERM, Some(143)),
        (Signal::SIGKILL, None),
    ] {
        let mut running = bench.start(&format!(
            "{} upload demo dear {}",
            ROOM.join(" "),
            file.display()
        ));
        let compiler = stopped_compiler(running.pid(), &[]);
        running.signal(signal);
        assert_eq!(running.code(), code, "{signal}");
        eventually("the compiler's end", || !alive(compiler));
    }
    assert!(!bench.function_dir("dear").exists());
}

#[test]
fn a_client_that_goes_away_takes_its_compiler_with_it() {
    let bench = Bench::new();
    let server = Server::start(&bench, &ROOM);
    let wasm = dear(900, 2000);
    let stream = put_dear(&server, "/f/demo/dear", "", &wasm);
    let compiler = stopped_compiler(id_of(&server), &[]);
    drop(stream);
    eventually("the compiler's end", || !alive(compiler));
    // One that has only closed its side waits, and has its answer.
    let stream = put_dear(&server, "/f/demo/small", "", &dear(200, 700));
    let compiler = stopped_compiler(id_of(&server), &[]);
    stream.shutdown(Shutdown::Write).expect("closed");
    thread::sleep(Duration::from_secs(1));
    assert!(alive(compiler), "the client is still there");
    kill(Pid::from_raw(compiler), Signal::SIGCONT).expect("continued");
    assert_eq!(answer(stream).status, 201);
    assert_eq!(bench.run("list").stdout, "demo/small\n");
}

#[test]
fn uploads_of_one_do_not_keep_another_waiting() {
    let bench = Bench::new();
    let users = users_file(&bench, &["ann", "bob"]);
    let mut args = vec!["--users-file", users.path.to_str().expect("a path")];
    args.extend(ROOM);
    let server = Server::start(&bench, &args);
    let wasm = dear(900, 2000);
    let (ann, bob) = (users.header("ann"), users.header("bob"));
    let first = put_dear(&server, "/f/ann/first", &ann, &wasm);
    let compiler = stopped_compiler(id_of(&server), &[]);
    let waiting: Vec<_> = (0..15)
        .map(|i| put_dear(&server, &format!("/f/ann/{i}"), &ann, &wasm))
        .collect();
    let noop = module(m::NOOP);
    // Her line is as long as it may be; it is not his.
    eventually("an end of the line", || {
        server.put_with("/f/ann/more", &ann, &noop).status == 429
    });
    assert_eq!(children(id_of(&server)), [compiler]);
    assert_eq!(server.put_with("/f/bob/noop", &bob, &noop).status, 201);
    drop((first, waiting));
    eventually("the compiler's end", || !alive(compiler));
    eventually("an empty line", || {
        server.put_with("/f/ann/more", &ann, &noop).status != 429
    });
}

#[test]
fn a_signal_ends_the_server_with_what_it_compiles() {
    let bench = Bench::new();
    let mut server = Server::start(&bench, &ROOM);
    let stream = put_dear(&server, "/f/demo/dear", "", &dear(900, 2000));
    let compiler = stopped_compiler(id_of(&server), &[]);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.child.wait().expect("an end").code(), Some(143));
    eventually("the compiler's end", || !alive(compiler));
    drop(stream);
    assert!(!bench.function_dir("dear").exists());
}
