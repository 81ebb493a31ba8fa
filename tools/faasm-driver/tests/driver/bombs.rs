//! Modules that are small on the wire, and large, endless or in disguise where somebody reads them.

use std::fs;
use std::process::Command;

use driver_testkit::skipped;
use wasm_encoder::{Encode, RawSection};

use crate::common::{Bench, assert_mentions, exists, module};
use crate::modules as m;
use crate::server::{Server, peak_kib};

fn of_sections(sections: &[(u8, &[u8])]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    for &(id, data) in sections {
        module.section(&RawSection { id, data });
    }
    module.finish()
}

/// Two MiB in which a name of 100 000 bytes stands for that of a million imports.
fn one_name_for_all_imports() -> Vec<u8> {
    let mut imports = Vec::new();
    1_u32.encode(&mut imports);
    [b'm'; 100_000][..].encode(&mut imports);
    imports.extend([0, 0x7e, 0, 0]);
    vec![0_u8; 1 << 20][..].encode(&mut imports);
    of_sections(&[(2, &imports)])
}

/// Imports without names, functions of the first type.
fn imports(count: usize) -> Vec<u8> {
    let mut imports = Vec::new();
    count.encode(&mut imports);
    imports.extend([0; 4].repeat(count));
    of_sections(&[(1, &[1, 0x60, 0, 0]), (2, &imports)])
}

fn of_store(bench: &Bench) -> bool {
    exists(&bench.function_dir("bomb").join("function.wasm"))
}

#[test]
fn reading_a_module_takes_no_more_memory_than_its_bytes_are_worth() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    for (what, bomb, says) in [
        ("one name", one_name_for_all_imports(), "compact imports"),
        ("imports", imports(8 << 20), "and 999992 more"),
    ] {
        let put = server.put("/f/demo/bomb", &bomb);
        assert_eq!(put.status, 422, "{what}: {put:?}");
        assert_mentions(&put.text(), &[says]);
        assert!(put.text().len() < 5000, "{what}: {}", put.text());
    }
    // The larger of the two bodies has 32 MiB.
    let peak = peak_kib(&server);
    assert!(peak < 512 << 10, "{peak} KiB");
    assert!(!of_store(&bench));
    assert_eq!(server.put("/f/demo/noop", &module(m::NOOP)).status, 201);
}

#[test]
fn what_a_module_calls_something_acts_on_no_terminal() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let wild = r#"\1b]0;x\07\0aPUT demo/noop: installed"#;
    for text in [
        format!(r#"(module (import "{wild}" "{wild}" (func)))"#),
        format!(
            r#"(module (memory (export "memory") 1) (func (export "_start")) (export "{wild}" (func 0)) (export "{wild}" (func 0)))"#
        ),
        format!(r#"(component (instance $i) (export "{wild}" (instance $i)))"#),
        format!(r#"(component (import "{wild}" (instance)))"#),
    ] {
        // The text format does not check what things are called in a component; where it does, there is nothing to send.
        let Ok(wasm) = wat::parse_str(&text) else {
            continue;
        };
        let put = server.put("/f/demo/bomb", &wasm);
        assert_eq!(put.status, 422, "{text}: {put:?}");
        let said = put.text();
        assert!(
            !said.trim_end().contains(char::is_control),
            "{text}: {said:?}"
        );
        let ran = bench.upload("bomb", &wasm);
        ran.expect(1);
        assert!(!ran.stderr.contains('\x1b'), "{text}: {:?}", ran.stderr);
        assert!(!of_store(&bench), "{text}");
    }
}

/// What no engine here has on: a name, and a module that has it.
const OFF: [(&str, &str); 11] = [
    (
        "shared memory",
        r#"(module (memory (export "memory") 1 2 shared) (func (export "_start")))"#,
    ),
    (
        "atomics",
        r#"(module (memory (export "memory") 1)
            (func (export "_start") (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))"#,
    ),
    (
        "memory of 64 bits",
        r#"(module (memory (export "memory") i64 1) (func (export "_start")))"#,
    ),
    (
        "table of 64 bits",
        r#"(module (table i64 1 funcref) (memory (export "memory") 1) (func (export "_start")))"#,
    ),
    (
        "two memories",
        r#"(module (memory (export "memory") 1) (memory 1) (func (export "_start")))"#,
    ),
    (
        "two tables",
        r#"(module (table 1 funcref) (table 1 funcref) (memory (export "memory") 1) (func (export "_start")))"#,
    ),
    (
        "pages of a byte",
        r#"(module (memory (export "memory") 1 (pagesize 1)) (func (export "_start")))"#,
    ),
    (
        "exceptions",
        r#"(module (tag $t) (memory (export "memory") 1) (func (export "_start") (throw $t)))"#,
    ),
    (
        "garbage collection",
        r#"(module (type $s (struct)) (memory (export "memory") 1)
            (func (export "_start") (drop (struct.new $s))))"#,
    ),
    (
        "other stacks",
        r#"(module (type $f (func)) (type $c (cont $f)) (memory (export "memory") 1)
            (func $g) (elem declare func $g) (func (export "_start") (drop (cont.new $c (ref.func $g)))))"#,
    ),
    (
        "numbers of 128 bits",
        r#"(module (memory (export "memory") 1)
            (func (export "_start") (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)) (drop) (drop)))"#,
    ),
];

#[test]
fn what_no_engine_has_on_is_refused() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    for (what, text) in OFF {
        let wasm = module(text);
        let put = server.put("/f/demo/bomb", &wasm);
        assert_eq!(put.status, 422, "{what}: {put:?}");
        bench.upload("bomb", &wasm).expect(1);
        assert!(!of_store(&bench), "{what}");
    }
}

#[test]
fn what_no_compiler_lives_through_ends_no_server() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let nested = |open: &str, depth: usize| {
        format!(
            r#"(module (memory (export "memory") 1) (func (export "_start") {} {}))"#,
            open.repeat(depth),
            "end ".repeat(depth)
        )
    };
    for (what, text) in [
        ("blocks", nested("block ", 200_000)),
        ("loops", nested("loop ", 20_000)),
        ("branches", nested("i32.const 0 if ", 50_000)),
    ] {
        let put = server.put("/f/demo/bomb", &module(&text));
        assert!(matches!(put.status, 200 | 201 | 422), "{what}: {put:?}");
        println!("{what}: {} {}", put.status, put.text().trim_end());
    }
    assert_eq!(server.put("/f/demo/noop", &module(m::NOOP)).status, 201);
}

/// What a component of these `fields` would be that runs nothing.
fn running_nothing(fields: &str) -> Vec<u8> {
    module(&format!(
        r#"(component $root {fields}
        (core module $program (func (export "run") (result i32) (i32.const 0)))
        (core instance $program (instantiate $program))
        (func $run (result (result)) (canon lift (core func $program "run")))
        (instance $exported (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $exported)))"#
    ))
}

/// Components each of which is twice the one before: of so many levels.
fn doubled(levels: usize) -> String {
    let level = |i: usize| {
        format!(
            "(component $c{} (alias outer $root $c{i} (component $half)) (instance (instantiate $half)) (instance (instantiate $half)))",
            i + 1
        )
    };
    let all: String = (0..levels).map(level).collect();
    format!("(component $c0) {all} (instance (instantiate $c{levels}))")
}

/// Within so many others.
fn wrapped(levels: usize) -> Vec<u8> {
    const COMPONENT: u8 = 4;
    let header = b"\0asm\x0d\0\x01\0";
    let mut wasm = header.to_vec();
    for _ in 0..levels {
        let mut outer = header.to_vec();
        outer.push(COMPONENT);
        wasm.as_slice().encode(&mut outer);
        wasm = outer;
    }
    // It must say that it is a program before anybody looks into it.
    let mut program = running_nothing("");
    program.push(COMPONENT);
    wasm.as_slice().encode(&mut program);
    program
}

#[test]
fn a_component_that_is_small_and_comes_to_much_is_refused() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let instances = |count: usize, fields: &str| {
        running_nothing(&format!(
            "(core module $m {fields}) {}",
            "(core instance (instantiate $m))".repeat(count)
        ))
    };
    for (what, bomb) in [
        ("a billion instances", running_nothing(&doubled(30))),
        ("instances of modules", instances(65, "")),
        ("memories", instances(5, "(memory 1)")),
        ("tables", instances(17, "(table 1 funcref)")),
        ("memory", instances(1, "(memory 5000)")),
        ("depth", wrapped(2000)),
    ] {
        let put = server.put("/f/demo/bomb", &bomb);
        assert_eq!(put.status, 422, "{what}: {put:?}");
        println!("{what}: {}", put.text().trim_end());
        bench.upload("bomb", &bomb).expect(1);
        assert!(!of_store(&bench), "{what}");
    }
    assert_eq!(server.put("/f/demo/noop", &module(m::NOOP)).status, 201);
}

/// Which is valid, and would be brought from memory to memory in one go.
const STRING_HANDED_OVER: &str = r#"
    (component $taker
        (core module $m (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)) (func (export "take") (param i32 i32)))
        (core instance $i (instantiate $m))
        (alias core export $i "memory" (core memory $memory))
        (alias core export $i "realloc" (core func $realloc))
        (func (export "take") (param "s" string) (canon lift (core func $i "take") (memory $memory) (realloc $realloc))))
    (instance $taker (instantiate $taker))
    (core module $m (memory (export "memory") 1))
    (core instance $m (instantiate $m))
    (alias core export $m "memory" (core memory $memory))
    (core func $take (canon lower (func $taker "take") (memory $memory)))
    (core module $uses (import "h" "take" (func (param i32 i32))))
    (core instance (instantiate $uses (with "h" (instance (export "take" (func $take))))))"#;

#[test]
fn where_the_compiler_gives_up_the_module_is_refused_in_words() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let wasm = running_nothing(STRING_HANDED_OVER);
    let put = server.put("/f/demo/bomb", &wasm);
    assert_eq!(put.status, 422, "{put:?}");
    let said = bench.upload("bomb", &wasm).expect(1).stderr.clone();
    for said in [put.text(), said] {
        assert_mentions(&said, &["cannot be compiled", "several memories"]);
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(!of_store(&bench));
}

#[test]
fn what_is_compiled_but_too_large_for_a_slot_is_refused() {
    let bench = Bench::new();
    let server = Server::start(&bench, &[]);
    let many = module(&format!(
        r#"(module (memory (export "memory") 1) (func (export "_start")) {})"#,
        "(global i32 (i32.const 0))".repeat(100_000)
    ));
    let put = server.put("/f/demo/bomb", &many);
    assert_eq!(put.status, 422, "{put:?}");
    assert_mentions(&put.text(), &["demo/bomb", "instance size"]);
    assert_eq!(server.store().len(), 0, "{:?}", server.store());
    assert_mentions(
        &bench.upload("bomb", &many).expect(1).stderr,
        &["demo/bomb"],
    );
}

#[test]
fn a_store_without_room_is_said_and_the_server_lives() {
    const TEST: &str = "a store without room";
    let bench = Bench::new();
    let store = bench.home.path().join("store");
    fs::create_dir(&store).expect("a directory");
    // Its own mounts, which go with it: a page for the directories, a few for modules and code.
    let driver = bench.command("serve --listen 127.0.0.1:0");
    let mut inside = Command::new("unshare");
    inside
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(r#"mount -t tmpfs -o size=48k,mode=755 none "$0" && exec "$@""#)
        .arg(&store)
        .arg(driver.get_program())
        .args(driver.get_args())
        .env("FAASM_BENCH_HOME", bench.home.path());
    let Some(server) = Server::start_as(&bench, inside) else {
        skipped(TEST, "no tmpfs can be mounted, which needs root");
        return;
    };
    let large = module(&format!(
        r#"(module (memory (export "memory") 1) (data (i32.const 0) "{}") (func (export "_start")))"#,
        "x".repeat(60_000)
    ));
    let put = server.put("/f/demo/large", &large);
    assert_eq!(put.status, 507, "{put:?}");
    assert_mentions(&put.text(), &["No space left"]);
    assert_eq!(server.put("/f/demo/noop", &module(m::NOOP)).status, 201);
    // Nothing of what did not fit is kept.
    let inside = format!("/proc/{}/root{}/demo", server.child.id(), store.display());
    let names: Vec<_> = fs::read_dir(inside)
        .expect("the server's store")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, ["noop"]);
}
