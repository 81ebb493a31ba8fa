//! Modules compiled to libraries. What the libraries do is tested where they are run: in the crate `faaslet`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use measure_core::base::home;
use second_engine::{Parts, SecondEngineError, Toolchain};
use tempfile::TempDir;

/// Far longer than the compiler takes on a busy host.
const LIMIT: Duration = Duration::from_secs(300);
const GUARD_BYTES: u64 = 1 << 20;

fn toolchain() -> Option<Toolchain> {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    Toolchain::find(&home::root(), "clang-19")
        .inspect_err(|why| eprintln!("SKIPPED: {test}: {why}: `make wasm2c` installs it"))
        .ok()
}

fn compile(tools: &Toolchain, text: &str, to: &Path) -> Result<(), SecondEngineError> {
    tools.compile(
        &wat::parse_str(text).expect("a module"),
        to,
        GUARD_BYTES,
        LIMIT,
    )
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.read_dir().expect("readable");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[test]
fn a_library_is_made_and_nothing_else_is_left() {
    let Some(tools) = toolchain() else { return };
    let dir = TempDir::new().expect("a directory");
    let library = dir.path().join("library");
    // More than one file of C.
    let functions: String = (0..200)
        .map(|i| {
            let stores = format!("(i64.store (i32.const {i}) (i64.const -{i}))").repeat(1000);
            format!(r#"(func (export "f{i}") {stores})"#)
        })
        .collect();
    let text =
        format!(r#"(module (memory (export "memory") 1) (func (export "_start")) {functions})"#);
    compile(&tools, &text, &library).expect("compiled");
    assert_eq!(files(dir.path()), std::slice::from_ref(&library));
    let mode = library.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let bytes = std::fs::read(library).expect("readable");
    assert_eq!(bytes[..4], *b"\x7fELF");
}

#[test]
fn what_cannot_run_here_is_refused_before_anything_is_made() {
    let Some(tools) = toolchain() else { return };
    let dir = TempDir::new().expect("a directory");
    let library = dir.path().join("library");
    for body in [
        r#"(import "env" "print" (func)) (memory (export "memory") 1) (func (export "_start"))"#,
        r#"(memory (export "memory") 1) (func (export "_start") (drop (i32.load offset=0x100000 (i32.const 0))))"#,
        r#"(memory (export "memory") 1) (table 1 funcref)
           (func (export "_start") (drop (table.grow (ref.null func) (i32.const 1))))"#,
        r#"(memory (export "memory") 1)"#,
    ] {
        let error = compile(&tools, &format!("(module {body})"), &library).expect_err("refused");
        assert!(
            matches!(error, SecondEngineError::Unsupported(_)),
            "{error}"
        );
    }
    assert!(
        tools
            .compile(b"no module", &library, GUARD_BYTES, LIMIT)
            .is_err()
    );
    assert!(files(dir.path()).is_empty());
}

#[test]
fn keys_tell_code_and_guards_apart() {
    let Some(tools) = toolchain() else { return };
    let key = |body: &str, guard_bytes| {
        let text = format!(
            r#"(module (memory (export "memory") 1) (func (export "_start") {body}) (data (i32.const 0) "{body}"))"#
        );
        let wasm = wat::parse_str(text).expect("a module");
        tools.key(&Parts::read(&wasm).expect("parts"), guard_bytes)
    };
    assert_eq!(key("nop", 1), key("nop", 1));
    assert_ne!(key("nop", 1), key("unreachable", 1));
    assert_ne!(key("nop", 1), key("nop", 2));
    assert_eq!(key("nop", 1).len(), 32);
}
