//! Functions for a driver to run, compiled from C.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use measure_core::base::programs::on_path;

use wasm_component::{Wit, component_of};

/// The source of the demo function `name`.
#[must_use]
pub fn demo_source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../functions/{name}.c"))
}

/// What came of compiling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// The target is there.
    Made,
    /// There is no such compiler.
    NoCompiler,
    /// It ended badly; what it said.
    Refused(String),
}

/// Has `compiler` make `target` of `source` with `flags`; what it made of the same source, headers beside it and flags before, in
/// this run of the tests or an earlier one, is taken again.
///
/// # Panics
/// The source cannot be read, or nothing be written.
#[must_use]
pub fn compile(compiler: &str, flags: &[&str], source: &Path, target: &Path) -> Compiled {
    let Some(program) = on_path(compiler) else {
        return Compiled::NoCompiler;
    };
    let kept = kept_dir().join(key(&program, flags, source));
    if !kept.exists() {
        fs::create_dir_all(kept_dir()).expect("a directory");
        // Another thread or process may be at the same, and either is whole.
        let dir = tempfile::tempdir_in(kept_dir()).expect("a directory");
        let fresh = dir.path().join("made");
        let mut command = Command::new(program);
        // Libraries among the flags are looked through for what the source lacks.
        let output = command
            .arg("-o")
            .args([&*fresh, source])
            .args(flags)
            .output();
        let output = output.expect("it was found");
        if !output.status.success() {
            return Compiled::Refused(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        fs::rename(&fresh, &kept).expect("kept");
    }
    make_parent(target);
    // By another process, as `write_program` says.
    let copied = Command::new("cp").args([&kept, target]).status();
    assert!(copied.is_ok_and(|s| s.success()), "{}", target.display());
    Compiled::Made
}

/// In cargo's own directory for what tests leave, beside that of the test programs.
fn kept_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a program");
    let profile = program
        .ancestors()
        .nth(2)
        .expect("deps, and the profile's directory");
    profile.with_file_name("tmp").join("compiled")
}

/// A name for all that decides what is made.
fn key(compiler: &Path, flags: &[&str], source: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    let about = fs::metadata(compiler).expect("it was found");
    (compiler, about.len(), about.mtime(), flags).hash(&mut hasher);
    fs::read(source).expect("a source").hash(&mut hasher);
    let beside = fs::read_dir(source.parent().expect("a directory")).expect("its entries");
    let mut headers: Vec<PathBuf> = beside
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "h"))
        .collect();
    headers.sort();
    for header in headers {
        fs::read(header).expect("a header").hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Compiles `source` to the static executable `target`; `false` where there is no compiler for it.
///
/// # Panics
/// The compiler refuses the source.
#[must_use]
pub fn compile_native(source: &Path, target: &Path) -> bool {
    match compile("musl-gcc", &["-static", "-O2"], source, target) {
        Compiled::Made => true,
        Compiled::NoCompiler => false,
        Compiled::Refused(said) => panic!("musl-gcc fails on {}: {said}", source.display()),
    }
}

/// How to get what [`compile_native`] needs.
pub const NO_MUSL: &str = "no musl-gcc; install the package musl-tools";

/// What makes a WASI module of C by [`compile`], with `clang-19`.
pub const WASI_FLAGS: [&str; 2] = ["--target=wasm32-wasi", "--sysroot=/usr"];

/// Compiles `source` to the module `target`; `false` where that cannot be done.
#[must_use]
pub fn compile_wasm(source: &Path, target: &Path) -> bool {
    let flags = [&WASI_FLAGS[..], &["-O2"]].concat();
    compile("clang-19", &flags, source, target) == Compiled::Made
}

/// The part of `wasi:sockets` that demo functions import.
const SOCKETS: Wit<'static> = Wit {
    path: "functions/sockets.wit",
    text: include_str!("../../../functions/sockets.wit"),
};

/// The component of `source`, which connects by `wasi:sockets`; none where it cannot be compiled.
///
/// # Panics
/// What the compiler links is no component's.
#[must_use]
pub fn compile_component(source: &Path, scratch: &Path) -> Option<Vec<u8>> {
    compile_wasm(source, scratch).then(|| {
        let module = fs::read(scratch).expect("linked");
        component_of(&module, Some(SOCKETS)).expect("a component")
    })
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
