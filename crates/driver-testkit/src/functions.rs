//! Functions for a driver to run, compiled from C.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The source of the demo function `name`.
#[must_use]
pub fn demo_source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../functions/{name}.c"))
}

/// Programs by their source, as each test of one process begins with the same ones.
static COMPILED: Mutex<BTreeMap<Vec<u8>, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// Compiles `source`, once in this process, to the static executable `target`; `false` where there is no compiler for it.
///
/// # Panics
/// The compiler refuses the source.
#[must_use]
pub fn compile_native(source: &Path, target: &Path) -> bool {
    let text = fs::read(source).expect("a source");
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = compiled.get(&text) {
        write_program(program, target);
        return true;
    }
    make_parent(target);
    let compiler = Command::new("musl-gcc")
        .args(["-static", "-O2", "-o"])
        .args([target, source])
        .status();
    if let Ok(status) = compiler {
        assert!(status.success(), "musl-gcc fails on {}", source.display());
        compiled.insert(text, fs::read(target).expect("a program"));
    }
    compiler.is_ok()
}

/// How to get what [`compile_native`] needs.
pub const NO_MUSL: &str = "no musl-gcc; install the package musl-tools";

/// Compiles `source` to the module `target`; `false` where that cannot be done.
#[must_use]
pub fn compile_wasm(source: &Path, target: &Path) -> bool {
    make_parent(target);
    let compiler = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-o"])
        .args([target, source])
        .stderr(Stdio::null())
        .status();
    compiler.is_ok_and(|status| status.success())
}

/// How to get what [`compile_wasm`] needs.
pub const NO_WASI: &str =
    "no clang-19 for wasm32-wasi: apt install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32";

/// Writes the shell script `text` to `target`, as [`write_program`] does.
///
/// # Panics
/// It cannot be written.
pub fn write_script(text: &str, target: &Path) {
    write_program(format!("#!/bin/sh\n{text}\n").as_bytes(), target);
}

/// Writes the executable `target`. Another process does: a program that anybody has open for writing cannot be executed, and
/// what this process has open any of its threads that starts a process passes on.
///
/// # Panics
/// It cannot be written.
pub fn write_program(bytes: &[u8], target: &Path) {
    make_parent(target);
    let mut writer = Command::new("sh")
        .args(["-c", r#"cat >"$1" && chmod 755 "$1""#, "sh"])
        .arg(target)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = writer.stdin.take().expect("piped");
    input.write_all(bytes).expect("its writer reads");
    drop(input);
    let status = writer.wait();
    assert!(status.is_ok_and(|s| s.success()), "{}", target.display());
}

/// Copies the executable `program` to `target`, as [`write_program`] does.
///
/// # Panics
/// It cannot be read or written.
pub fn copy_program(program: impl AsRef<Path>, target: &Path) {
    write_program(&fs::read(program).expect("a program"), target);
}

fn make_parent(target: &Path) {
    let parent = target.parent().expect("a parent");
    fs::create_dir_all(parent).expect("made");
}
