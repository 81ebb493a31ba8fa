//! `upload` and `upload-all`, into the store and through a server.

use std::fs;
use std::path::PathBuf;

use driver_testkit::Ended;

use crate::common::{Bench, assert_mentions};
use crate::modules as m;
use crate::server::Server;

/// A directory of modules: two that are good, one that is refused, and files that are none of ours.
fn built(bench: &Bench) -> PathBuf {
    let dir = bench.home.path().join("built");
    for (path, content) in [
        ("demo/noop.wasm", wat::parse_str(m::NOOP).expect("a module")),
        (
            "other/exit3.wasm",
            wat::parse_str(m::EXIT_3).expect("a module"),
        ),
        ("demo/notes.txt", b"not a module".to_vec()),
        ("stray.wasm", b"not below a user".to_vec()),
    ] {
        let file = dir.join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        fs::write(file, content).expect("written");
    }
    dir
}

fn upload_all(bench: &Bench, args: &str) -> Ended {
    let dir = bench.home.path().join("built");
    bench.run(&format!("upload-all {} {args}", dir.display()))
}

#[test]
fn all_modules_are_uploaded_once() {
    let bench = Bench::new();
    let dir = built(&bench);
    let ran = upload_all(&bench, "");
    assert_eq!(
        ran.expect(0).stdout,
        "demo/noop: installed\nother/exit3: installed\n"
    );
    let ran = upload_all(&bench, "");
    assert_eq!(ran.stdout, "demo/noop: unchanged\nother/exit3: unchanged\n");
    fs::copy(dir.join("other/exit3.wasm"), dir.join("demo/noop.wasm")).expect("copied");
    let ran = upload_all(&bench, "");
    assert_eq!(ran.stdout, "demo/noop: replaced\nother/exit3: unchanged\n");
    // One that is refused does not keep the others out.
    fs::write(dir.join("demo/aaa.wasm"), "no module").expect("written");
    fs::write(dir.join("demo/b b.wasm"), "no name").expect("written");
    let ran = upload_all(&bench, "");
    assert_mentions(
        &ran.expect(1).stderr,
        &["aaa.wasm", "not a WebAssembly binary", "b b.wasm"],
    );
    assert_mentions(&ran.stdout, &["other/exit3: unchanged"]);
    assert_eq!(bench.run("list").stdout, "demo/noop\nother/exit3\n");
}

#[test]
fn a_directory_without_modules_is_an_error() {
    let bench = Bench::new();
    bench.fails(
        1,
        &format!("upload-all {}", bench.home.path().display()),
        &["holds no module", "<user>/<function>.wasm"],
    );
    // The default is wasm/ of what was built.
    let ran = bench.run("upload-all");
    assert_mentions(&ran.stderr, &["wasm: No such file"]);
}

#[test]
fn a_server_takes_the_same_commands() {
    let (client, home) = (Bench::new(), Bench::new());
    let dir = built(&client);
    let server = Server::start(&home, &["--max-bytes", "1000000"]);
    let host = server.address.to_string();
    let ran = upload_all(&client, &format!("--host {host}"));
    assert_eq!(
        ran.expect(0).stdout,
        "demo/noop: installed\nother/exit3: installed\n"
    );
    let ran = upload_all(&client, &format!("--host {host}"));
    assert_eq!(ran.stdout, "demo/noop: unchanged\nother/exit3: unchanged\n");
    assert_eq!(client.run("list").stdout, "");
    assert_eq!(home.run("list").stdout, "demo/noop\nother/exit3\n");

    let file = dir.join("other/exit3.wasm");
    let upload = |function: &str, host: &str| {
        client.run(&format!(
            "upload --host {host} demo {function} {}",
            file.display()
        ))
    };
    let ran = upload("noop", &host);
    assert_eq!(
        ran.stdout,
        format!("demo/noop: replaced in {host}\n"),
        "{ran:?}"
    );
    fs::write(&file, "no module").expect("written");
    let ran = upload("noop", &host);
    assert_mentions(&ran.expect(1).stderr, &["422", "not a WebAssembly binary"]);
    fs::write(&file, vec![0; 2_000_000]).expect("written");
    let ran = upload("noop", &host);
    assert_mentions(&ran.stderr, &["413", "1000000 bytes"]);
    let ran = upload("noop", "no-port");
    ran.expect(2);
    drop(server);
    let ran = upload("noop", &host);
    assert_mentions(
        &ran.expect(1).stderr,
        &["cannot talk to", "faasm-driver serve"],
    );
}

#[test]
fn a_server_with_a_token_is_told_it() {
    let bench = Bench::new();
    built(&bench);
    let file = bench.home.path().join("token");
    fs::write(&file, "0123456789abcdef0123456789abcdef\n").expect("written");
    let path = file.to_str().expect("a path");
    let server = Server::start(&bench, &["--token-file", path]);
    let host = server.address.to_string();
    let ran = upload_all(&bench, &format!("--host {host}"));
    assert_mentions(&ran.expect(1).stderr, &["401", "--token-file"]);
    let ran = upload_all(&bench, &format!("--host {host} --token-file {path}"));
    ran.expect(0);
    let dir = bench.home.path().join("built");
    let mut command = bench.command(&format!("upload-all --host {host} {}", dir.display()));
    command.env("FAASM_BENCH_TOKEN", "0123456789abcdef0123456789abcdef");
    let ran = driver_testkit::run(command);
    assert_mentions(&ran.stdout, &["demo/noop: unchanged"]);
}
