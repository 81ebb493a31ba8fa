//! Our calls about files against those of `wasmtime-wasi`, which is allowed to make them on the calling thread: the faster of
//! its two ways.

use std::fs;
use std::path::Path;

use faaslet::function::Untimed;
use faaslet::{FaasletEngine, Function, Grants};
use tempfile::TempDir;
use wasmtime::{Linker, Module};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use super::{BLOCK, Outcome, Phases, Side, interleave, line};

/// Blocks of each side.
const ROUNDS: usize = 30;
/// Files in the directory that is listed.
const ENTRIES: usize = 100;

/// A program that does `body` so many `times`; `$open` opens the name of a byte at an address.
fn program(body: &str, times: u32) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
        (memory (export "memory") 2)
        (data (i32.const 0) "fd") (data (i32.const 16) "\00\04\00\00\00\10\00\00")
        (func $must (param i32) (if (local.get 0) (then unreachable)))
        (func $open (param $name i32) (param $flags i32) (param $rights i64) (result i32)
            (call $must (call $path_open (i32.const 3) (i32.const 0) (local.get $name) (i32.const 1) (local.get $flags)
                (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 8)))
            (i32.load (i32.const 8)))
        (func (export "_start") (local $fd i32) (local $left i32)
            (local.set $left (i32.const {times}))
            (loop $again
                {body}
                (call $must (call $fd_close (local.get $fd)))
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#
    )
}

/// Opens, reads 4 KiB of and closes a file.
const READ: &str = "
    (local.set $fd (call $open (i32.const 0) (i32.const 0) (i64.const 2)))
    (call $must (call $fd_read (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24)))
    (if (i32.ne (i32.load (i32.const 24)) (i32.const 4096)) (then unreachable))";
/// Opens, lists and closes a directory, with room for all of it.
const LIST: &str = "
    (local.set $fd (call $open (i32.const 1) (i32.const 2) (i64.const 16384)))
    (call $must (call $fd_readdir (local.get $fd) (i32.const 1024) (i32.const 65536) (i64.const 0) (i32.const 24)))
    (if (i32.or (i32.lt_u (i32.load (i32.const 24)) (i32.const 2400)) (i32.eq (i32.load (i32.const 24)) (i32.const 65536)))
        (then unreachable))";

fn ours(engine: &FaasletEngine, module: &Module, dir: &Path) -> Outcome<Function> {
    let grants = Grants::default().with_dir(dir, "/", false);
    Ok(Function::new(engine, "files", module, grants)?)
}

/// The outcome of a program of theirs.
fn theirs<'a>(
    engine: &'a FaasletEngine,
    module: &Module,
    dir: &'a Path,
) -> Outcome<impl FnMut() -> Outcome<Phases> + 'a> {
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine.wasmtime());
    p1::add_to_linker_sync(&mut linker, |context| context)?;
    let pre = linker.instantiate_pre(module)?;
    Ok(move || {
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(true);
        builder.preopened_dir(dir, "/", FsPerms::ReadOnly)?;
        let mut store = wasmtime::Store::new(engine.wasmtime(), builder.build_p1());
        pre.instantiate(&mut store)?
            .get_typed_func::<(), ()>(&mut store, "_start")?
            .call(&mut store, ())?;
        Ok(Phases::new())
    })
}

pub(crate) fn compare(engine: &FaasletEngine) -> Outcome<()> {
    let dir = TempDir::new()?;
    fs::write(dir.path().join("f"), vec![7; 8192])?;
    fs::create_dir(dir.path().join("d"))?;
    for i in 0..ENTRIES {
        fs::write(dir.path().join(format!("d/{i:03}")), "")?;
    }
    for (what, times, body) in [
        ("open, read, close", 200, READ),
        ("open, list 100 entries, close", 5, LIST),
    ] {
        let module = Module::new(engine.wasmtime(), wat::parse_str(program(body, times))?)?;
        let function = ours(engine, &module, dir.path())?;
        let mut sides = [
            Side::new(
                "files",
                Box::new(move || {
                    function.start(&mut Untimed)?;
                    Ok(Phases::new())
                }),
            ),
            Side::new(
                "wasmtime-wasi",
                Box::new(theirs(engine, &module, dir.path())?),
            ),
        ];
        interleave(&mut sides, ROUNDS)?;
        let [ours, theirs] = sides.map(|side| side.blocks);
        line(
            &format!("files, {what} ({times} times) / wasmtime-wasi"),
            1.0,
            &ours,
            &theirs,
            &format!(" blocks of {BLOCK}"),
        );
    }
    Ok(())
}
