//! Random loops in loops leave the memory, the result and the trap as before they were rewritten.

mod nest;

use proptest::prelude::*;
use wasm_post_link::{Passes, rewrite};
use wasmparser::{Operator, Parser, Payload};

use crate::{differs, same};
use nest::{Access, Nest, load, nest, product, product_of_numbers, store, tidy, update};

const PAGE_BYTES: i32 = 1 << 16;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    // Arrays that are apart, that lie across each other, and that end where the memory does.
    #[test]
    fn nests_do_what_they_did(
        nest in prop_oneof![nest(), nest().prop_map(tidy)],
        p in prop::array::uniform3(prop_oneof![6 => 1..7_i32, 1 => Just(8_i32), 1 => Just(0_i32)]),
        near in prop::array::uniform3(prop_oneof![3 => Just(0_i32), 1 => -600..600_i32]),
        m in 1..24_i32,
        n in 1..14_i32,
        form in 0..2_i32,
        jam in 2..6_usize,
        copies in 1..4_usize,
    ) {
        let wasm = nest.module();
        let passes = Passes { jam, copies, ..Passes::default() };
        let (new, _) = rewrite(&wasm, passes).expect("a module");
        let aligned = if nest.numbers { !7 } else { !0 };
        let place = |at: usize| (p[at] * (PAGE_BYTES / 8) - 100 + near[at]) & aligned;
        let arguments = [place(0), place(1), place(2), m, n, form];
        prop_assert!(same(&wasm, &new, &arguments), "{arguments:?}");
    }
}

fn jammed(nest: &Nest) -> usize {
    let (_, done) = rewrite(&nest.module(), Passes::default()).expect("a module");
    done.jammed
}

#[test]
fn sums_and_updates_are_made_several_turns_at_once() {
    assert_eq!(jammed(&product()), 1);
    assert_eq!(jammed(&update()), 1);
    let second = vec![load(1, true, false), store(1, true, false)];
    let both = Nest {
        second,
        forms: true,
        ..update()
    };
    assert_eq!(jammed(&both), 1);
}

/// How many additions of two numbers at once there are.
fn paired(nest: &Nest) -> usize {
    let (new, _) = rewrite(&nest.module(), Passes::default()).expect("a module");
    let bodies = Parser::new(0).parse_all(&new).filter_map(|payload| {
        let Ok(Payload::CodeSectionEntry(body)) = payload else {
            return None;
        };
        Some(body.get_operators_reader().expect("operators"))
    });
    let pairs = |op: &Result<Operator<'_>, _>| matches!(op, Ok(Operator::F64x2Add));
    bodies
        .flat_map(IntoIterator::into_iter)
        .filter(pairs)
        .count()
}

#[test]
fn sums_of_neighbouring_turns_are_made_in_vectors() {
    assert!(paired(&product_of_numbers()) > 0);
    let columns = Nest {
        outer_strides: [8, 0, 264],
        ..product_of_numbers()
    };
    assert_eq!(paired(&columns), 0, "what is loaded lies apart");
    // What the first of two turns stores the second one loads before: side by side it would come too late.
    let before = Access {
        constant: -8,
        ..load(0, true, true)
    };
    let after = Nest {
        inner: vec![before, store(0, true, true)],
        inner_strides: [256, 0, 0],
        outer_strides: [8, 0, 0],
        before: Vec::new(),
        after: Vec::new(),
        ..product_of_numbers()
    };
    assert_eq!(paired(&after), 0);
}

#[test]
fn turns_whose_order_shows_are_left_alone() {
    let reads_next = vec![load(0, true, true), store(0, true, true)];
    let shifted = Nest {
        inner: reads_next,
        inner_strides: [16, 0, 0],
        outer_strides: [32, 0, 0],
        turns: Some(9),
        before: Vec::new(),
        after: Vec::new(),
        ..product()
    };
    assert_eq!(
        jammed(&shifted),
        0,
        "a turn stores to what the one before read later"
    );
    assert_eq!(
        jammed(&Nest {
            triangular: true,
            ..product()
        }),
        0,
        "inner loops differ in their turns"
    );
    assert_eq!(
        jammed(&Nest {
            carries: true,
            ..product()
        }),
        0,
        "a sum goes on"
    );
    let one_place = Nest {
        outer_strides: [0, 0, 16],
        ..product()
    };
    assert_eq!(jammed(&one_place), 0, "all turns store to one place");
    let far = Nest {
        inner_strides: [0, i32::MIN, 256],
        turns: Some(-1),
        ..product()
    };
    assert_eq!(jammed(&far), 0, "beyond 64 bits");
}

#[test]
fn arrays_in_each_others_way_are_seen() {
    for nest in [product(), update(), product_of_numbers()] {
        let wasm = nest.module();
        let passes = Passes {
            copies: 1,
            ..Passes::default()
        };
        let (new, _) = rewrite(&wasm, passes).expect("a module");
        let near = (-400..400).step_by(8).map(|near| 30_000 + near);
        let arrays = near.flat_map(|near| [[20_000, near], [near, 20_000]]);
        let calls = arrays.map(|[a, b]| [30_000, a, b, 9, 8, 0]);
        assert_eq!(differs(&wasm, &new, calls), None);
    }
}

#[test]
fn what_traps_on_the_way_leaves_the_stores_before_it() {
    for nest in [product(), update(), product_of_numbers()] {
        let wasm = nest.module();
        let (new, _) = rewrite(&wasm, Passes::default()).expect("a module");
        let places = [(0, 300), (1, 90), (2, 1500), (2, -8), (1, 0)];
        let calls = places.into_iter().flat_map(|(pointer, below)| {
            [PAGE_BYTES - below, 1 << 31].map(|place| {
                let mut arguments = [10_000, 20_000, 30_000, 9, 8, 0];
                arguments[pointer] = place;
                arguments
            })
        });
        assert_eq!(differs(&wasm, &new, calls), None);
    }
}

#[test]
fn turns_are_counted_as_the_loops_test_them() {
    for nest in [product(), update(), product_of_numbers()] {
        let wasm = nest.module();
        let (new, _) = rewrite(&wasm, Passes::default()).expect("a module");
        let turns = (1..12).flat_map(|m| (1..12).map(move |n| (m, n)));
        let calls = turns.map(|(m, n)| [10_000, 20_000, 30_000, m, n, 0]);
        assert_eq!(differs(&wasm, &new, calls), None);
    }
}
