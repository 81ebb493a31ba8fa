//! Rewritten modules compute what the originals computed.

mod nests;
mod stencils;

use std::fs;
use std::sync::LazyLock;

use assert_cmd::Command;
use proptest::prelude::*;
use wasm_post_link::{Passes, rewrite};
use wasmtime::{Config, Engine, Instance, Module, OptLevel, Store, Val};

/// Hundreds of modules are compiled to be run once: quickly, and by each test's own thread.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None);
    config.parallel_compilation(false);
    Engine::new(&config).expect("an engine")
});

fn compiled(wasm: &[u8]) -> Module {
    Module::new(&ENGINE, wasm).expect("a valid module")
}

/// What `f` returns and leaves in memory; `None` if it traps.
fn outcome(module: &Module, arguments: &[i32]) -> (Option<i32>, Vec<u8>) {
    let mut store = Store::new(&ENGINE, ());
    let instance = Instance::new(&mut store, module, &[]).expect("no imports");
    let f = instance.get_func(&mut store, "f").expect("f");
    let arguments: Vec<Val> = arguments.iter().copied().map(Val::I32).collect();
    let mut results = [Val::I32(0)];
    let ended = f.call(&mut store, &arguments, &mut results);
    let result = ended.ok().and_then(|()| results[0].i32());
    let memory = instance.get_memory(&mut store, "memory").expect("memory");
    (result, memory.data(&store).to_vec())
}

/// Whether `f` does the same in both modules.
fn same(old: &[u8], new: &[u8], arguments: &[i32]) -> bool {
    differs(old, new, [arguments]).is_none()
}

/// The first of `calls` in which `f` does not do the same in both modules.
fn differs<A: AsRef<[i32]>>(
    old: &[u8],
    new: &[u8],
    calls: impl IntoIterator<Item = A>,
) -> Option<A> {
    let (old, new) = (compiled(old), compiled(new));
    let mut calls = calls.into_iter();
    calls.find(|call| outcome(&old, call.as_ref()) != outcome(&new, call.as_ref()))
}

/// `f(a, b)` around `body`, with `$i`, `$x`, `$p` to work with and integer data in memory.
fn program(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 1)
            (data (i32.const 0) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10\11\12\13\14")
            (func (export "f") (param $a i32) (param $b i32) (result i32)
              (local $i i32) (local $x i32) (local $p i32)
              {body}
              local.get $x))"#
    );
    wat::parse_str(text).expect("a module")
}

const LOOPS: [(&str, &str); 9] = [
    (
        "a test at the end",
        "(loop $l
            (i32.store offset=4 (i32.add (local.get $p) (i32.const 8))
                (i32.add (i32.load (local.get $p)) (i32.load offset=1 (i32.add (local.get $p) (i32.const 3)))))
            (local.set $p (i32.add (local.get $p) (i32.const 4)))
            (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $a))))",
    ),
    (
        "a way out in the middle",
        "(block $out (loop $l
            (br_if $out (i32.ge_s (local.get $i) (local.get $a)))
            (local.set $x (i32.add (local.get $x) (i32.load8_u (local.get $i))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $l)))",
    ),
    (
        "a test and something after it",
        "(block $far
            (block $out (loop $l
                (br_if $far (i32.gt_s (local.get $i) (local.get $b)))
                (i32.store (i32.shl (local.get $i) (i32.const 3)) (local.get $x))
                (local.set $x (i32.add (local.get $x) (i32.const 3)))
                (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $a)))
                (local.set $p (i32.const 7))
                (br $out)))
            (local.set $x (i32.add (local.get $x) (local.get $p))))",
    ),
    (
        "branches inside",
        "(loop $l
            (if (i32.and (local.get $i) (local.get $b))
                (then (local.set $x (i32.add (local.get $x) (local.get $i))))
                (else (i32.store (local.get $p) (local.get $x))))
            (local.set $p (i32.add (local.get $p) (i32.const 2)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_s (local.get $i) (local.get $a))))",
    ),
    (
        "ways round and out from inside blocks",
        "(block $out (loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (block $skip
                (br_if $skip (i32.eqz (i32.rem_u (local.get $i) (i32.const 3))))
                (br_if $out (i32.gt_s (local.get $i) (local.get $a)))
                (local.set $x (i32.sub (local.get $x) (local.get $i)))
                (br_if $l (i32.and (local.get $i) (i32.const 4))))
            (local.set $x (i32.xor (local.get $x) (local.get $b)))
            (br $l)))",
    ),
    (
        "a return from inside",
        "(loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (if (i32.gt_s (local.get $i) (local.get $a)) (then (return (local.get $x))))
            (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 31)) (local.get $i)))
            (br $l))",
    ),
    (
        "loops in loops, addresses that meet across a branch",
        "(loop $outer
            (local.set $p (i32.shl (local.get $i) (i32.const 2)))
            (loop $inner
                (i32.store (i32.add (local.get $p) (i32.const 64))
                    (i32.add (i32.load (local.get $p)) (i32.load (i32.sub (local.get $p) (i32.const -4)))))
                (br_if $inner (i32.lt_s (local.tee $p (i32.add (local.get $p) (i32.const 4))) (local.get $b))))
            (local.set $x (i32.add (local.get $x) (local.get $p)))
            (br_if $outer (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $a))))",
    ),
    (
        "a maximum carried along",
        "(loop $l
            (i32.store offset=1024 (local.get $i)
                (local.tee $x (select
                    (local.get $x)
                    (local.tee $p (i32.xor (i32.mul (local.get $i) (i32.const 29)) (local.get $b)))
                    (i32.gt_s (local.get $x) (local.get $p)))))
            (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $a))))",
    ),
    (
        "a value below the test",
        "(loop $l
            local.get $i
            (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $a)))
            local.get $x
            i32.add
            local.set $x)",
    ),
];

#[test]
fn every_kind_of_loop_is_rewritten() {
    for (what, body) in LOOPS {
        let (_, done) = rewrite(&program(body), Passes::default()).expect("a module");
        assert!(done.loops > 0, "{what}: {done:?}");
    }
    let (_, done) = rewrite(&program(LOOPS[0].1), Passes::default()).expect("a module");
    assert!(done.accesses > 10, "{done:?}");
    let (_, done) = rewrite(&program(LOOPS[7].1), Passes::default()).expect("a module");
    assert_eq!(done.branches, 16, "in each copy: {done:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // Trip counts around every number of copies, and limits that make another number of them.
    #[test]
    fn loops_do_what_they_did(kind in 0..LOOPS.len(), a in -3..70_i32, b in 0..300_i32, operators in 1..600_usize, copies in 1..20_usize) {
        let wasm = program(LOOPS[kind].1);
        let passes = Passes { operators, copies, ..Passes::default() };
        let (new, _) = rewrite(&wasm, passes).expect("a module");
        prop_assert!(same(&wasm, &new, &[a, b]), "{}", LOOPS[kind].0);
    }

    // The last iterations leave the memory, wherever that falls among the copies: the same trap, and the
    // same stores before it.
    #[test]
    fn what_traps_traps_at_the_same_access(from in 0..40_i32, kind in prop::sample::select(vec![0_usize, 3])) {
        let body = format!("(local.set $p (i32.sub (i32.const 65536) (local.get $b))) {}", LOOPS[kind].1);
        let wasm = program(&body);
        let (new, _) = rewrite(&wasm, Passes::default()).expect("a module");
        prop_assert!(same(&wasm, &new, &[60, from]));
    }
}

#[test]
fn an_address_that_wraps_still_wraps() {
    // 4 below the end of the address space plus 8 is 4; with an offset it would lie outside the memory.
    let body = "(local.set $p (i32.sub (i32.const 0) (i32.const 4)))
        (local.set $p (i32.add (local.get $p) (local.get $b)))
        (local.set $x (i32.load (i32.add (local.get $p) (i32.const 8))))
        (local.set $x (i32.add (local.get $x) (i32.load (i32.add (local.get $p) (i32.const 12)))))";
    let wasm = program(body);
    let (new, done) = rewrite(&wasm, Passes::default()).expect("a module");
    assert!(done.accesses > 0);
    let (result, _) = outcome(&compiled(&new), &[0, 0]);
    assert!(same(&wasm, &new, &[0, 0]));
    assert_eq!(result, Some(0x0807_0605 + 0x0c0b_0a09));
}

#[test]
fn a_memory_cannot_grow_to_where_addresses_could_wrap() {
    let wasm = program("(local.set $x (memory.grow (i32.const 65535)))");
    let (new, _) = rewrite(&wasm, Passes::default()).expect("a module");
    assert_eq!(outcome(&compiled(&new), &[0, 0]).0, Some(-1));
}

/// A loop that sets `$x` by `line`, where `$p` is another value each time.
fn carrying(line: &str) -> Vec<u8> {
    program(&format!(
        "(local.set $x (local.get $b))
        (loop $l
            (local.set $p (i32.rem_s (i32.mul (local.get $i) (i32.const 7919)) (i32.const 61)))
            {line}
            (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $a))))"
    ))
}

#[test]
fn extremes_in_either_order_of_arms_become_branches() {
    let one_copy = Passes {
        copies: 1,
        ..Passes::default()
    };
    for compare in [
        "gt_s", "gt_u", "ge_s", "ge_u", "lt_s", "lt_u", "le_s", "le_u",
    ] {
        for (a, b) in [("$x", "$p"), ("$p", "$x")] {
            for (c, d) in [("$x", "$p"), ("$p", "$x")] {
                let wasm = carrying(&format!(
                    "(local.set $x (select (local.get {a}) (local.get {b})
                        (i32.{compare} (local.get {c}) (local.get {d}))))"
                ));
                let (new, done) = rewrite(&wasm, one_copy).expect("a module");
                assert_eq!(done.branches, 1, "{compare} {a} {b} {c} {d}");
                let starts = [-100, 0, 30, 100].map(|start| [50, start]);
                let other = differs(&wasm, &new, starts);
                assert_eq!(other, None, "{compare} {a} {b} {c} {d}");
            }
        }
    }
}

#[test]
fn what_is_no_carried_extreme_keeps_its_select() {
    let maximum = "(local.set $x (select (local.get $x) (local.get $p) (i32.gt_s (local.get $x) (local.get $p))))";
    for (what, line) in [
        ("set anew in each turn", format!("(local.set $x (local.get $i)) {maximum}")),
        ("compared with something else", maximum.replace("(i32.gt_s (local.get $x)", "(i32.gt_s (local.get $a)")),
        ("kept in another local", maximum.replace("local.set $x", "local.set $b")),
        ("the same value twice", maximum.replace("$p", "$x")),
        ("equality", maximum.replace("gt_s", "eq")),
        (
            "changed between its arms",
            "(local.set $x (select (local.get $x) (local.tee $x (local.get $p)) (i32.gt_s (local.get $x) (local.get $p))))"
                .to_owned(),
        ),
    ] {
        let wasm = carrying(&line);
        let (new, done) = rewrite(&wasm, Passes::default()).expect(what);
        assert_eq!(done.branches, 0, "{what}");
        assert!(same(&wasm, &new, &[50, 7]), "{what}");
    }
}

#[test]
fn the_executable_rewrites_and_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("in.wasm"), program(LOOPS[0].1)).expect("written");
    fs::write(path("bad.wasm"), b"\0asm\x01\0\0\0\xff").expect("written");
    let tool = || Command::new(env!("CARGO_BIN_EXE_wasm-post-link"));
    let said = tool()
        .args([path("in.wasm"), path("out.wasm")])
        .assert()
        .success();
    let said = String::from_utf8_lossy(&said.get_output().stdout).into_owned();
    assert!(said.contains("1 loops unrolled"), "{said}");
    let read = |name| fs::read(path(name)).expect("read");
    assert!(same(&read("in.wasm"), &read("out.wasm"), &[9, 0]));

    tool().args([path("bad.wasm"), path("x")]).assert().code(1);
    tool().args([path("none.wasm"), path("x")]).assert().code(1);
    tool()
        .args([path("in.wasm"), path("no/such/dir")])
        .assert()
        .code(5);
    tool()
        .arg("--copies")
        .arg("many")
        .args([path("in.wasm"), path("x")])
        .assert()
        .code(2);
    assert!(!path("x").exists());
}
