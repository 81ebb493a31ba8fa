//! Random stencils leave the memory as they left it before they were rewritten.

use std::fmt::Write;

use proptest::prelude::*;
use wasm_post_link::{Passes, rewrite};

use crate::{differs, same};

const PAGE_BYTES: i32 = 1 << 16;

/// What one access of a loop's turn does.
#[derive(Debug, Clone, Copy)]
struct Access {
    /// By the second pointer rather than the first.
    second: bool,
    /// Added to the pointer.
    constant: i32,
    /// Of the load or store itself.
    offset: u32,
    stores: bool,
}

#[derive(Debug, Clone)]
struct Stencil {
    accesses: Vec<Access>,
    /// By how much the two pointers grow.
    strides: [i32; 2],
    /// A local that is kept over an access and mixed into the next ones.
    uses_last: bool,
}

impl Stencil {
    /// `f(p, q, n)`: n turns, a vector that depends on everything that was loaded.
    fn text(&self) -> String {
        let mut body = String::new();
        for access in &self.accesses {
            let pointer = if access.second { "$q" } else { "$p" };
            let Access {
                constant, offset, ..
            } = access;
            let address = format!("(i32.add (local.get {pointer}) (i32.const {constant}))");
            let line = if access.stores {
                format!("(v128.store offset={offset} {address} (local.get $x))")
            } else {
                let mixed = "(i32x4.mul (local.get $x) (v128.const i32x4 3 5 7 11))";
                let load = format!("(v128.load offset={offset} {address})");
                let load = if self.uses_last {
                    format!("(local.tee $y (i32x4.add (local.get $y) {load}))")
                } else {
                    load
                };
                format!("(local.set $x (i32x4.add {mixed} {load}))")
            };
            writeln!(body, "{line}").expect("written");
        }
        let [p, q] = self.strides;
        format!(
            r#"(module (memory (export "memory") 1)
            (func $fill (local $i i32)
              (loop $l
                (i32.store (local.get $i) (i32.mul (i32.add (local.get $i) (i32.const 77)) (i32.const -1640531535)))
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 65536)))))
            (start $fill)
            (func (export "f") (param $p i32) (param $q i32) (param $n i32) (result i32)
              (local $x v128) (local $y v128)
              (block $out
                (loop $l
                  {body}
                  (local.set $p (i32.add (local.get $p) (i32.const {p})))
                  (local.set $q (i32.add (local.get $q) (i32.const {q})))
                  (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
                  (br $out)))
              (i32x4.extract_lane 1 (local.get $x))))"#
        )
    }

    fn module(&self) -> Vec<u8> {
        wat::parse_str(self.text()).expect("a module")
    }
}

fn access() -> impl Strategy<Value = Access> {
    let offset = prop::sample::select(vec![0, 0, 0, 8, 16]);
    (any::<bool>(), -6..10_i32, offset, 0..4_u8).prop_map(|(second, place, offset, kind)| Access {
        second,
        constant: place * 8,
        offset,
        stores: kind == 0,
    })
}

/// Many of them have what can be carried: neighbours by one pointer, strides of whole vectors.
fn stencil() -> impl Strategy<Value = Stencil> {
    let stride = prop::sample::select(vec![16, 16, 16, 32, 48, 8, -16, 0]);
    let accesses = prop::collection::vec(access(), 1..9);
    (accesses, stride.clone(), stride, 0..3_u8, any::<bool>()).prop_map(
        |(accesses, p, q, apart, uses_last)| Stencil {
            accesses,
            strides: [p, if apart == 0 { q } else { p }],
            uses_last,
        },
    )
}

fn passes(copies: usize, addresses: bool) -> Passes {
    Passes {
        copies,
        addresses,
        ..Passes::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    // Pointers that are far apart, near each other in either order, and so near the end of the memory that it
    // traps on the way.
    #[test]
    fn stencils_do_what_they_did(
        stencil in stencil(),
        p in prop_oneof![64..4000_i32, PAGE_BYTES - 900..PAGE_BYTES],
        between in prop_oneof![-160..160_i32, 2000..9000_i32],
        turns in 1..40_i32,
        copies in 1..5_usize,
        addresses in any::<bool>(),
    ) {
        let wasm = stencil.module();
        let (new, _) = rewrite(&wasm, passes(copies, addresses)).expect("a module");
        prop_assert!(same(&wasm, &new, &[p, p + between, turns]));
    }
}

/// `q[8..] = f(p[-8..], p[0..], p[8..])`: one load a turn instead of three.
fn jacobi() -> Stencil {
    let load = |constant| Access {
        second: false,
        constant,
        offset: 0,
        stores: false,
    };
    Stencil {
        accesses: vec![
            load(0),
            load(-8),
            load(8),
            Access {
                second: true,
                constant: 8,
                offset: 0,
                stores: true,
            },
        ],
        strides: [16, 16],
        uses_last: false,
    }
}

#[test]
fn a_stencil_loads_each_vector_once() {
    let (_, done) = rewrite(&jacobi().module(), passes(1, false)).expect("a module");
    assert_eq!(done.carried, 2);
}

#[test]
fn whichever_array_comes_first_a_store_that_comes_near_is_seen() {
    let wasm = jacobi().module();
    let (new, _) = rewrite(&wasm, passes(3, true)).expect("a module");
    let apart = (-80..80).map(|between| [4000, 4000 + between, 30]);
    assert_eq!(differs(&wasm, &new, apart), None);
}

#[test]
fn what_else_a_turn_does_leaves_the_loop_alone() {
    let text = jacobi().text();
    for (what, line) in [
        ("a call", "(call $fill)"),
        ("memory growth", "(drop (memory.grow (i32.const 0)))"),
        (
            "a fill",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
        ),
        ("a way out", "(br_if $out (i32.eqz (local.get $n)))"),
        (
            "a pointer that is loaded",
            "(local.set $p (i32.load (local.get $p)))",
        ),
    ] {
        let text = text.replacen("(local.set $p", &format!("{line} (local.set $p"), 1);
        let wasm = wat::parse_str(&text).expect(what);
        let (_, done) = rewrite(&wasm, passes(1, false)).expect(what);
        assert_eq!(done.carried, 0, "{what}");
    }
}

#[test]
fn memories_of_other_kinds_are_left_alone() {
    let text = jacobi().text();
    for memory in [
        r#"(memory (import "m" "m") 1)"#,
        r#"(memory (export "memory") 1 1 shared)"#,
        r#"(memory (export "memory") 65536)"#,
        r#"(memory (export "memory") 1) (memory 1)"#,
    ] {
        let text = text.replace(r#"(memory (export "memory") 1)"#, memory);
        let wasm = wat::parse_str(&text).expect(memory);
        let (_, done) = rewrite(&wasm, passes(1, true)).expect(memory);
        assert_eq!((done.carried, done.accesses), (0, 0), "{memory}");
    }
}
