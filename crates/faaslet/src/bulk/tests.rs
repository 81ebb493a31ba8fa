//! What is rewritten does what it did: the same memory, the same traps.

use proptest::prelude::*;
use wasmtime::{Engine, Instance, Module as Code, Store, Trap, TypedFunc};

use super::helpers::{LOOP_BYTES, PIECE_BYTES};
use super::{Interrupted, in_pieces, rewritten};

const PAGES: i32 = 50;
const MEMORY_BYTES: i32 = PAGES << 16;
const SEGMENT_BYTES: i32 = 40_000;

/// One instruction as a function of its operands, in a memory of which no two places are alike.
fn module() -> Vec<u8> {
    let segment: String = (0..SEGMENT_BYTES)
        .map(|i| char::from(b'a' + u8::try_from(i % 23).unwrap_or(0)))
        .collect();
    wat::parse_str(format!(
        r#"(module (memory (export "memory") {PAGES} 60) (data $d "{segment}") (data $e "12345")
        (table 9 12 funcref) (elem $t func $f $g) (elem declare func $f) (func $f) (func $g)
        (func (export "mark") (local i32) (loop $l
            (i32.store (local.get 0) (i32.mul (local.get 0) (i32.const 0x9e3779b1)))
            (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4))) (i32.const {MEMORY_BYTES})))))
        (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "copy few") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 77)))
        (func (export "copy known") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 200)))
        (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
        (func (export "init few") (param i32 i32 i32) (memory.init $e (local.get 0) (local.get 1) (local.get 2)))
        (func (export "drop") (param i32 i32 i32) (data.drop $d))
        (func (export "grow") (param i32 i32 i32)
            (i32.store (i32.const 0) (memory.grow (i32.and (local.get 2) (i32.const 3)))))
        (func (export "table") (param i32 i32 i32) (local funcref)
            (table.init $t (i32.and (local.get 0) (i32.const 7)) (i32.const 0) (i32.const 2))
            (table.copy (i32.and (local.get 1) (i32.const 7)) (i32.const 0) (i32.and (local.get 2) (i32.const 7)))
            (table.fill (i32.const 1) (ref.func $f) (i32.and (local.get 2) (i32.const 3)))
            (i32.store (i32.const 4) (table.grow (ref.func $g) (i32.and (local.get 2) (i32.const 1))))
            (i32.store (i32.const 8) (ref.is_null (table.get (i32.and (local.get 2) (i32.const 7)))))
            (elem.drop $t)))"#
    ))
    .expect("a module")
}

const FUNCTIONS: [&str; 9] = [
    "copy",
    "copy few",
    "copy known",
    "fill",
    "init",
    "init few",
    "drop",
    "grow",
    "table",
];

struct Machine {
    store: Store<()>,
    instance: Instance,
}

impl Machine {
    fn new(engine: &Engine, wasm: &[u8]) -> Self {
        let code = Code::new(engine, wasm).expect("code");
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &code, &[]).expect("an instance");
        let mut made = Self { store, instance };
        let mark: TypedFunc<(), ()> = made
            .instance
            .get_typed_func(&mut made.store, "mark")
            .expect("a function");
        mark.call(&mut made.store, ()).expect("it ends");
        made
    }

    fn call(&mut self, name: &str, operands: (i32, i32, i32)) -> Result<(), Option<Trap>> {
        let function: TypedFunc<(i32, i32, i32), ()> = self
            .instance
            .get_typed_func(&mut self.store, name)
            .expect("a function");
        let outcome = function.call(&mut self.store, operands);
        outcome.map_err(|error| error.downcast_ref().copied())
    }

    fn memory(&mut self) -> &[u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.expect("a memory").data(&self.store)
    }
}

/// Where lengths and places differ in what they lead to, and near there.
fn place() -> impl Strategy<Value = i32> {
    let edges = [
        0,
        77,
        200,
        SEGMENT_BYTES,
        LOOP_BYTES,
        PIECE_BYTES,
        2 * PIECE_BYTES,
        MEMORY_BYTES,
        -1,
        i32::MIN,
    ];
    prop_oneof![
        (prop::sample::select(edges.to_vec()), -40..40).prop_map(|(at, by)| at.wrapping_add(by)),
        0..200,
        0..MEMORY_BYTES,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn what_is_rewritten_does_what_it_did(
        calls in prop::collection::vec((prop::sample::select(FUNCTIONS.to_vec()), place(), place(), place(), any::<bool>()), 1..12)
    ) {
        let engine = Engine::default();
        let wasm = module();
        let mut one = Machine::new(&engine, &wasm);
        let mut others = [Interrupted::BySignal, Interrupted::ByItself].map(|interrupted| {
            let rewritten = rewritten(&wasm, interrupted).expect("rewritten");
            wasmparser::validate(&rewritten).expect("valid");
            Machine::new(&engine, &rewritten)
        });
        for (name, to, from, length, near) in calls {
            // Overlaps of few bytes are what goes wrong.
            let from = if near { to.wrapping_add(from % 70) } else { from };
            let operands = (to, from, length);
            let outcome = one.call(name, operands);
            for other in &mut others {
                prop_assert_eq!(outcome, other.call(name, operands), "{} {:?}", name, operands);
                prop_assert!(one.memory() == other.memory(), "{name} {operands:?}");
            }
        }
    }

    #[test]
    fn no_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        wasm.extend(tail);
        let _ = in_pieces(&wasm);
    }
}

#[test]
fn functions_keep_their_indices_and_a_module_without_such_instructions_stays() {
    let wasm = wat::parse_str(r#"(module (memory 1) (func (export "f") (drop (memory.size))))"#);
    let wasm = wasm.expect("a module");
    assert_eq!(&*in_pieces(&wasm).expect("the same"), &*wasm);
    let wasm = module();
    let exports = |wasm: &[u8]| {
        let interface = wasm_interface::Interface::read(wasm).expect("an interface");
        assert!(interface.imports.is_empty());
        interface.exports
    };
    let rewritten = in_pieces(&wasm).expect("rewritten");
    assert_ne!(&*rewritten, &*wasm);
    assert_eq!(exports(&rewritten), exports(&wasm));
}

#[test]
fn names_that_cannot_be_read_are_left_as_they_are() {
    let broken = wasm_encoder::CustomSection {
        name: "name".into(),
        // A subsection of functions' names that is longer than all there is.
        data: (&[1, 0xff, 0xff, 0xff, 0x7f][..]).into(),
    };
    let mut wasm = module();
    wasm.extend({
        let mut only = wasm_encoder::Module::new();
        only.section(&broken);
        only.finish().split_off(8)
    });
    let rewritten = in_pieces(&wasm).expect("rewritten");
    assert_ne!(&*rewritten, &*wasm);
    wasmparser::validate(&rewritten).expect("valid");
}
