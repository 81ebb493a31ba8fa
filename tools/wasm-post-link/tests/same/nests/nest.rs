//! Loops in loops as text, drawn at random and by hand.

use std::fmt::Write;

use proptest::prelude::*;

/// An access of an inner turn, or before or after the inner loops.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Which of three pointers.
    pub pointer: usize,
    pub constant: i32,
    pub offset: u32,
    pub stores: bool,
    pub wide: bool,
    /// Moves with the inner counter.
    pub inner: bool,
    /// Moves with the outer counter.
    pub outer: bool,
}

/// `for i { BEFORE; for j INNER; [for j SECOND;] AFTER }`
#[derive(Debug, Clone)]
pub struct Nest {
    pub before: Vec<Access>,
    pub inner: Vec<Access>,
    pub second: Vec<Access>,
    pub after: Vec<Access>,
    /// Bytes by which an access moves with the inner and the outer counter.
    pub inner_strides: [i32; 3],
    pub outer_strides: [i32; 3],
    /// The number of inner turns: a constant, or the third parameter.
    pub turns: Option<i32>,
    /// The inner loop begins where the outer counter is: its turns become fewer.
    pub triangular: bool,
    /// The accumulator lives on from one outer turn to the next.
    pub carries: bool,
    /// Half of the inner loops stand in two forms, as compilers write them.
    pub forms: bool,
    /// All accesses are of numbers of 64 bits.
    pub numbers: bool,
}

impl Nest {
    fn lines(&self, accesses: &[Access]) -> String {
        let mut lines = String::new();
        for access in accesses {
            let mut address = format!(
                "(i32.add (local.get $p{}) (i32.const {}))",
                access.pointer, access.constant
            );
            let mut add = |counter: &str, stride: i32| {
                address = format!(
                    "(i32.add {address} (i32.mul (local.get {counter}) (i32.const {stride})))"
                );
            };
            if access.inner {
                add("$j", self.inner_strides[access.pointer]);
            }
            if access.outer {
                add("$i", self.outer_strides[access.pointer]);
            }
            let (offset, ty) = (access.offset, if access.wide { "v128" } else { "i64" });
            let line = match (access.stores, access.wide) {
                (true, _) if self.numbers => {
                    format!("(f64.store offset={offset} {address} (local.get $y))")
                }
                (false, _) if self.numbers => {
                    let load = format!("(f64.load offset={offset} {address})");
                    let less = "(f64.mul (local.get $y) (f64.const 0.25))";
                    format!("(local.set $y (f64.add {less} {load}))")
                }
                (true, true) => format!("(v128.store offset={offset} {address} (local.get $x))"),
                (true, false) => format!(
                    "(i64.store offset={offset} {address} (i64x2.extract_lane 0 (local.get $x)))"
                ),
                (false, wide) => {
                    let load = format!("({ty}.load offset={offset} {address})");
                    let load = if wide {
                        load
                    } else {
                        format!("(i64x2.splat {load})")
                    };
                    let mixed = "(i32x4.mul (local.get $x) (v128.const i32x4 3 5 7 11))";
                    format!("(local.set $x (i32x4.add {mixed} {load}))")
                }
            };
            writeln!(lines, "{line}").expect("written");
        }
        lines
    }

    fn inner_loop(&self, accesses: &[Access]) -> String {
        let turns = match self.turns {
            Some(turns) => format!("(i32.const {turns})"),
            None => "(local.get $n)".to_owned(),
        };
        let first = if self.triangular {
            "(local.get $i)"
        } else {
            "(i32.const 0)"
        };
        // Beyond where any outer turn begins, lest it go round four thousand million times.
        let turns = if self.triangular {
            format!("(i32.add (local.get $m) {turns})")
        } else {
            turns
        };
        let lines = self.lines(accesses);
        format!(
            "(local.set $j {first})
            (loop $inner
              {lines}
              (br_if $inner (i32.ne (local.tee $j (i32.add (local.get $j) (i32.const 1))) {turns})))"
        )
    }

    pub fn module(&self) -> Vec<u8> {
        let (before, after) = (self.lines(&self.before), self.lines(&self.after));
        let mut inner = self.inner_loop(&self.inner);
        if self.forms {
            let other = self.inner_loop(&self.second);
            inner = format!(
                "(block $both (block $first
                    (br_if $first (i32.eqz (local.get $form)))
                    {other}
                    (br $both))
                  {inner})"
            );
        } else if !self.second.is_empty() {
            inner.push_str(&self.inner_loop(&self.second));
        }
        let fresh = if self.carries {
            ""
        } else {
            "(local.set $x (v128.const i32x4 1 2 3 4)) (local.set $y (f64.const 1.5))"
        };
        // All numbers are finite: what is no number may have any bits.
        let filling = if self.numbers {
            "(f64.store (i32.and (local.get $i) (i32.const -8)) (f64.convert_i32_s {hash}))"
        } else {
            "(i32.store (local.get $i) {hash})"
        };
        let filling = filling.replace(
            "{hash}",
            "(i32.mul (i32.add (local.get $i) (i32.const 77)) (i32.const -1640531535))",
        );
        let text = format!(
            r#"(module (memory (export "memory") 1)
            (func $fill (local $i i32)
              (loop $l
                {filling}
                (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 65536)))))
            (start $fill)
            (func (export "f") (param $p0 i32) (param $p1 i32) (param $p2 i32) (param $m i32) (param $n i32) (param $form i32)
              (result i32) (local $i i32) (local $j i32) (local $x v128) (local $y f64)
              (block $out
                (loop $l
                  {fresh}
                  {before}
                  {inner}
                  {after}
                  (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $m)))
                  (br $out)))
              (i32.add (i32.add (local.get $i) (local.get $j))
                (i32.add (i32x4.extract_lane 1 (local.get $x))
                  (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get $y)) (i64.const 25)))))))"#
        );
        wat::parse_str(text).expect("a module")
    }
}

pub fn access() -> impl Strategy<Value = Access> {
    let offset = prop::sample::select(vec![0, 0, 0, 8, 16]);
    (0..3_usize, -3..4_i32, offset, 0..3_u8, any::<[bool; 3]>()).prop_map(
        |(pointer, place, offset, kind, [wide, inner, outer])| Access {
            pointer,
            constant: place * 8,
            offset,
            stores: kind == 0,
            wide,
            inner,
            outer,
        },
    )
}

/// Many of them can be made several turns at once: rows and columns of matrices, sums along either.
pub fn nest() -> impl Strategy<Value = Nest> {
    let stride = || prop::sample::select(vec![8, 16, 16, 256, 264, -16, -256, 0]);
    let strides = || [stride(), stride(), stride()];
    let accesses = |most: usize| prop::collection::vec(access(), 0..most);
    let lists = (
        accesses(3),
        prop::collection::vec(access(), 1..5),
        accesses(4),
        accesses(3),
    );
    let flags = (
        0..6_u8,
        0..5_u8,
        0..3_u8,
        any::<bool>(),
        prop::option::of(1..12_i32),
    );
    (lists, strides(), strides(), flags).prop_map(
        |(
            (before, inner, second, after),
            inner_strides,
            outer_strides,
            (triangular, carries, forms, numbers, turns),
        )| Nest {
            before,
            inner,
            second,
            after,
            inner_strides,
            outer_strides,
            turns,
            triangular: triangular == 0,
            carries: carries == 0,
            forms: forms == 0,
            numbers,
        },
    )
}

/// `nest` with what most often keeps turns apart taken out: it stores to a row or a column of one array alone.
pub fn tidy(mut nest: Nest) -> Nest {
    let row = nest.inner[0].inner;
    let around = [&mut nest.before, &mut nest.after].map(|list| (list, false));
    let inside = [&mut nest.inner, &mut nest.second].map(|list| (list, row));
    for (list, inner) in around.into_iter().chain(inside) {
        for access in list.iter_mut().filter(|a| a.stores || a.pointer == 0) {
            *access = Access {
                pointer: 0,
                constant: 0,
                inner,
                outer: !row,
                ..*access
            };
        }
    }
    let width = if nest.numbers { 8 } else { 16 };
    nest.inner_strides[0] = width;
    nest.outer_strides[0] = width;
    if nest.numbers {
        // Elements that neighbouring turns access lie side by side.
        nest.outer_strides[1] = width;
    }
    Nest {
        triangular: false,
        carries: false,
        ..nest
    }
}

pub fn load(pointer: usize, inner: bool, outer: bool) -> Access {
    Access {
        pointer,
        constant: 0,
        offset: 0,
        stores: false,
        wide: true,
        inner,
        outer,
    }
}

pub fn store(pointer: usize, inner: bool, outer: bool) -> Access {
    Access {
        stores: true,
        ..load(pointer, inner, outer)
    }
}

/// `p0[i] = sum over j of p1[j] and p2[j][i]`, stored to in each turn.
pub fn product() -> Nest {
    Nest {
        before: vec![store(0, false, true)],
        inner: vec![
            load(1, true, false),
            load(2, true, true),
            store(0, false, true),
        ],
        second: Vec::new(),
        after: vec![store(0, false, true)],
        inner_strides: [0, 16, 256],
        outer_strides: [16, 0, 16],
        turns: None,
        triangular: false,
        carries: false,
        forms: false,
        numbers: false,
    }
}

/// [`product`] of numbers: the sums for neighbouring `i` grow side by side.
pub fn product_of_numbers() -> Nest {
    Nest {
        numbers: true,
        inner_strides: [0, 8, 256],
        outer_strides: [8, 0, 8],
        ..product()
    }
}

/// `p0[j] += p1[i] * p2[i][j]`.
pub fn update() -> Nest {
    Nest {
        before: vec![load(1, false, true)],
        inner: vec![
            load(0, true, false),
            load(2, true, true),
            store(0, true, false),
        ],
        after: Vec::new(),
        inner_strides: [16, 0, 16],
        outer_strides: [0, 16, 256],
        ..product()
    }
}
