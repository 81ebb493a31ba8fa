//! `pybench-src/memory.c` against loops over bytes, as Wasm.

use std::fs;
use std::path::Path;
use std::process::Command;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants};
use native_vs_wasm::columns::wasm::MEMORY_LIMIT_BYTES;

use crate::common::checkout;

/// Exits with the number of the function that did something else than a loop over bytes does.
const PROGRAM: &str = r#"
#include "memory.c"

static uint32_t state = 1;
static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

enum { SIZE = 512 };
static uint8_t is[SIZE], must[SIZE];

static void fill(uint32_t kinds)
{
    for (int i = 0; i < SIZE; i++)
        is[i] = must[i] = (uint8_t)(below(kinds) * 127);
}

static int same(void)
{
    for (int i = 0; i < SIZE; i++)
        if (is[i] != must[i])
            return 0;
    return 1;
}

static int sign(int n) { return (n > 0) - (n < 0); }

static int round_of_all(void)
{
    uint32_t n = below(below(4) ? 40 : 200), to = below(SIZE - 200), from = below(SIZE - 200);
    fill(4);
    uint8_t whole[SIZE];
    for (int i = 0; i < SIZE; i++)
        whole[i] = must[i];
    for (uint32_t i = 0; i < n; i++)
        must[to + i] = whole[from + i];
    if (memmove(is + to, is + from, n) != is + to || !same())
        return 1;

    fill(4);
    uint8_t other[256];
    for (uint32_t i = 0; i < n; i++)
        other[i] = must[to + i] = (uint8_t)below(256);
    if (memcpy(is + to, other, n) != is + to || !same())
        return 2;

    int byte = (int)below(512) - 256;
    for (uint32_t i = 0; i < n; i++)
        must[to + i] = (uint8_t)byte;
    if (memset(is + to, byte, n) != is + to || !same())
        return 3;

    fill(2);
    /* Mostly equal. */
    for (uint32_t i = 0; i < n; i++)
        other[i] = is[from + i] + (below(60) == 0);
    int order = 0;
    for (uint32_t i = 0; i < n && !order; i++)
        order = sign((int)is[from + i] - (int)other[i]);
    if (sign(memcmp(is + from, other, n)) != order)
        return 4;

    fill(100);
    byte = (int)below(100) * 127;
    void *first = 0;
    for (uint32_t i = 0; i < n && !first; i++)
        if (is[from + i] == (uint8_t)byte)
            first = is + from + i;
    if (memchr(is + from, byte, n) != first)
        return 5;

    is[from + n] = 0;
    uint32_t length = 0;
    while (is[from + length])
        length++;
    return strlen((const char *)is + from) == length ? 0 : 6;
}

int main(void)
{
    for (int i = 0; i < 20000; i++) {
        int wrong = round_of_all();
        if (wrong)
            return wrong;
    }
    return 0;
}
"#;

#[test]
fn memory_functions_do_what_loops_over_bytes_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let (source, module) = (dir.path().join("test.c"), dir.path().join("test.wasm"));
    fs::write(&source, PROGRAM).expect("written");
    let compiled = Command::new("clang-19")
        .args(["--target=wasm32-wasi", "--sysroot=/usr", "-O3", "-msimd128"])
        .arg("-fno-builtin")
        .arg("-I")
        .arg(checkout().join("pybench-src"))
        .args([source.as_path(), Path::new("-o"), module.as_path()])
        .output();
    let Ok(compiled) = compiled else {
        eprintln!("SKIPPED: memory.c: no clang-19 (make setup)");
        return;
    };
    assert!(compiled.status.success(), "{compiled:?}");
    let engine = FaasletEngine::new(EngineSettings {
        instances: 1,
        memory_limit_bytes: MEMORY_LIMIT_BYTES,
        deadline: std::time::Duration::from_secs(300),
        ..EngineSettings::default()
    })
    .expect("an engine");
    let wasm = fs::read(&module).expect("readable");
    let module = wasmtime::Module::new(engine.wasmtime(), wasm).expect("code");
    Function::new(&engine, "memory", &module, Grants::default())
        .expect("a function")
        .start(&mut Untimed)
        .expect("as loops do");
}
