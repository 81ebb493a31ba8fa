//! What the store accepts, and whose compiled code it runs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

use driver_testkit::skipped;

use crate::common::{Bench, assert_mentions, exists, module};
use crate::modules as m;

const WASM_TIME: &str = "time 1 --rung wasm";

fn compiled(bench: &Bench, name: &str) -> Vec<PathBuf> {
    fs::read_dir(bench.function_dir(name))
        .expect("the function's directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
        .collect()
}

#[test]
fn what_is_no_wasi_program_is_refused_and_not_installed() {
    let bench = Bench::new();
    let foreign = r#"(module (import "env" "system" (func (param i32) (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let unknown = r#"(module (import "wasi_snapshot_preview1" "become_root" (func))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let mut truncated = module(m::PARK);
    truncated.truncate(truncated.len() - 7);
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (Vec::new(), &["not a WebAssembly binary"]),
        (m::NOOP.as_bytes().to_vec(), &["not a WebAssembly binary"]),
        (
            b"\x7fELF\x02\x01\x01".to_vec(),
            &["not a WebAssembly binary"],
        ),
        (
            b"\0asm\x01\0\0\0\xff\xff\xff".to_vec(),
            &["not a valid module"],
        ),
        (truncated, &["not a valid module"]),
        (module(foreign), &["env.system", "wasi_snapshot_preview1"]),
        (module(unknown), &["become_root"]),
        (module("(module)"), &["_start", "memory"]),
        (
            module(r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#),
            &["_start"],
        ),
        (
            module(r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#),
            &["memory64", "off here"],
        ),
    ];
    for (bytes, says) in cases {
        assert_mentions(&bench.upload("bad", &bytes).expect(1).stderr, says);
        assert!(
            !exists(&bench.function_dir("bad").join("function.wasm")),
            "{says:?}"
        );
    }
}

#[test]
fn files_that_are_none_or_too_large_are_refused() {
    let bench = Bench::new();
    let huge = bench.home.path().join("huge.wasm");
    File::create(&huge)
        .and_then(|file| file.set_len(3 << 30))
        .expect("a sparse file");
    let fifo = bench.home.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for (file, says) in [
        (huge, "may have"),
        (fifo, "not a regular file"),
        (bench.home.path().to_path_buf(), "regular file"),
        (PathBuf::from("/nonexistent.wasm"), "No such file"),
    ] {
        bench.fails(1, &format!("upload demo x {}", file.display()), &[says]);
    }
}

#[test]
fn names_that_lead_out_of_the_store_are_refused() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    for bad in [
        "../noop",
        "demo/../../etc",
        "demo/.hidden",
        "/etc/passwd",
        "demo/",
    ] {
        bench.fails(2, &format!("time 1 --rung wasm --function {bad}"), &[]);
    }
    bench.fails(2, "upload .. x /dev/null", &[]);
}

#[test]
fn unknown_names_suggest_the_nearest() {
    let bench = Bench::with(&[("noop", m::NOOP), ("park", m::PARK)]);
    bench.fails(
        2,
        "time 1 --rung wasm --function demo/nop",
        &["did you mean `demo/noop`?", "demo/park"],
    );
    bench.fails(
        2,
        "time 1 --rung faaslt",
        &["did you mean `faaslet`?", "faaslet-pooled"],
    );
    bench.fails(2, "codegen demo/prk", &["did you mean `demo/park`?"]);
}

#[test]
fn codegen_compiles_what_is_missing_and_keeps_what_is_there() {
    let bench = Bench::with(&[("noop", m::NOOP), ("park", m::PARK)]);
    let ran = bench.run("list");
    assert_eq!(ran.stdout, "demo/noop\ndemo/park\n");
    for path in compiled(&bench, "noop") {
        fs::remove_file(path).expect("removed");
    }
    let ran = bench.ok("codegen");
    assert_mentions(
        &ran.stdout,
        &["demo/noop: compiled", "demo/park: up to date"],
    );
    assert_eq!(compiled(&bench, "noop").len(), 1);
}

#[test]
fn code_of_other_content_is_never_run() {
    let bench = Bench::with(&[("exit3", m::EXIT_3), ("noop", m::NOOP)]);
    let (noop, exit3) = (compiled(&bench, "noop"), compiled(&bench, "exit3"));
    // Foreign code under the name that the right code has.
    fs::copy(&exit3[0], &noop[0]).expect("copied");
    bench.ok(WASM_TIME);
    // Damaged code.
    let mut bytes = fs::read(&noop[0]).expect("compiled anew");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&noop[0], bytes).expect("written");
    bench.ok(WASM_TIME);
    // A module that was replaced beside its old code.
    fs::write(
        bench.function_dir("noop").join("function.wasm"),
        module(m::EXIT_3),
    )
    .expect("written");
    bench.fails(4, WASM_TIME, &["exit code 3"]);
    // Its old code is gone.
    assert_eq!(compiled(&bench, "noop").len(), 1);
}

#[test]
fn a_store_that_others_can_write_to_is_refused_with_the_cure() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    let dir = bench.function_dir("noop");
    let code = compiled(&bench, "noop").remove(0);
    let (user, root) = (
        bench.home.path().join("store/demo"),
        bench.home.path().join("store"),
    );
    for (path, mode, good) in [
        (code, 0o666, 0o644),
        (dir.clone(), 0o775, 0o755),
        (user, 0o757, 0o755),
        (root, 0o777, 0o755),
        (bench.home.path().to_path_buf(), 0o777, 0o700),
    ] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("permissions");
        for args in [WASM_TIME, "codegen"] {
            bench.fails(
                1,
                args,
                &["refusing", "chmod go-w", &path.display().to_string()],
            );
        }
        fs::set_permissions(&path, Permissions::from_mode(good)).expect("permissions");
        bench.ok(WASM_TIME);
    }
}

#[test]
fn code_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        skipped(
            "code_of_another_user_is_refused",
            "only root can give files away",
        );
        return;
    }
    let bench = Bench::with(&[("noop", m::NOOP)]);
    let code = compiled(&bench, "noop").remove(0);
    chown(&code, Some(12345), None).expect("given away");
    let mut command = bench.command(WASM_TIME);
    command.env_remove("SUDO_UID");
    let ran = driver_testkit::run(command);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_mentions(&ran.stderr, &["refusing", "belongs to user 12345", "chown"]);
}

#[test]
fn symbolic_links_in_the_store_are_refused() {
    let bench = Bench::with(&[("noop", m::NOOP)]);
    let elsewhere = bench.home.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a directory");
    fs::write(elsewhere.join("function.wasm"), module(m::NOOP)).expect("written");
    symlink(&elsewhere, bench.function_dir("linked")).expect("a link");
    let dir = bench.function_dir("filelink");
    fs::create_dir(&dir).expect("a directory");
    symlink(elsewhere.join("function.wasm"), dir.join("function.wasm")).expect("a link");
    for name in ["demo/linked", "demo/filelink"] {
        bench.fails(
            1,
            &format!("time 1 --rung wasm --function {name}"),
            &["symbolic links"],
        );
    }
    bench.upload("linked", &module(m::NOOP)).expect(1);
    // The way out of the store was not taken.
    assert_eq!(fs::read_dir(&elsewhere).expect("entries").count(), 1);
}
