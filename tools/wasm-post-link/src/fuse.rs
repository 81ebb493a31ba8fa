//! Vector multiplications whose product is only added become fused multiply-adds.
//!
//! `a * b + c` becomes `relaxed_madd(a, b, c)` and `c - a * b` becomes `relaxed_nmadd(a, b, c)`, which an
//! engine that knows the host's FMA instructions turns into one of them. C compilers take the same licence
//! by default (`-ffp-contract=on`) where the target has such an instruction. Scalars stay as they are: Wasm
//! has no scalar form, and by way of a vector it would lengthen the chain of a reduction.

use std::collections::HashMap;

use wasmparser::{Operator, ValType};

use crate::body::{Body, Edits, is_barrier};
use crate::stack::{self, Top};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lanes {
    F32,
    F64,
}

/// Fuses what can be fused; returns how many.
pub(crate) fn fuse(body: &mut Body<'_>) -> usize {
    crate::share::split(body);
    let mut edits = Edits::default();
    let mut top: Top<usize> = Top::new();
    // The first factor of each product.
    let mut factors = HashMap::new();
    let mut fused = 0;
    for at in 0..body.ops.len() {
        let op = body.ops[at].clone();
        if is_barrier(&op) {
            top.forget();
            continue;
        }
        if let Some((lanes, minus)) = sum(&op) {
            let right = top.pop();
            let left = top.pop();
            let is_product = |i: Option<usize>| i.filter(|&i| product(&body.ops[i]) == Some(lanes));
            if let (Some(mul), false) = (is_product(left), minus) {
                // a b (mul) c add: the operands already stand in order.
                let factor = turned(body, &mut edits, factors.get(&mul), mul);
                edits.replace(mul, factor);
                edits.replace(at, vec![fma(lanes, false)]);
                fused += 1;
            } else if let (Some(mul), Some(addend)) = (is_product(right), left) {
                // c a b (mul) add: c steps aside until it is its turn.
                let aside = body.local(ValType::V128);
                edits.after(addend, vec![Operator::LocalSet { local_index: aside }]);
                let factor = turned(body, &mut edits, factors.get(&mul), mul);
                edits.replace(mul, factor);
                let back = Operator::LocalGet { local_index: aside };
                edits.replace(at, vec![back, fma(lanes, minus)]);
                fused += 1;
            }
            top.push(at);
            continue;
        }
        let Some((takes, leaves)) = stack::effect(&op) else {
            continue;
        };
        if product(&op).is_some()
            && let Some(&first) = top.peek(1)
        {
            factors.insert(at, first);
        }
        for _ in 0..takes {
            top.pop();
        }
        for _ in 0..leaves {
            top.push(at);
        }
    }
    body.apply(edits);
    fused
}

/// What stands for the product at `mul`. x86 overwrites the first factor with the result. If that is a
/// local, which may be needed again, it changes places with the other factor, and a copy is saved.
fn turned<'a>(
    body: &Body<'a>,
    edits: &mut Edits<'a>,
    first: Option<&usize>,
    mul: usize,
) -> Vec<Operator<'a>> {
    let Some(&first) = first else {
        return Vec::new();
    };
    let Operator::LocalGet { local_index } = body.ops[first] else {
        return Vec::new();
    };
    let between = &body.ops[first + 1..mul];
    let changed = between.iter().any(|op| {
        matches!(op, Operator::LocalSet { local_index: set } | Operator::LocalTee { local_index: set }
            if *set == local_index)
    });
    if changed || matches!(between, [Operator::LocalGet { .. }]) {
        return Vec::new();
    }
    edits.replace(first, Vec::new());
    vec![Operator::LocalGet { local_index }]
}

pub(crate) fn product(op: &Operator<'_>) -> Option<Lanes> {
    match op {
        Operator::F64x2Mul => Some(Lanes::F64),
        Operator::F32x4Mul => Some(Lanes::F32),
        _ => None,
    }
}

/// Whether it adds or subtracts.
pub(crate) fn sum(op: &Operator<'_>) -> Option<(Lanes, bool)> {
    match op {
        Operator::F64x2Add => Some((Lanes::F64, false)),
        Operator::F64x2Sub => Some((Lanes::F64, true)),
        Operator::F32x4Add => Some((Lanes::F32, false)),
        Operator::F32x4Sub => Some((Lanes::F32, true)),
        _ => None,
    }
}

fn fma(lanes: Lanes, minus: bool) -> Operator<'static> {
    match (lanes, minus) {
        (Lanes::F64, false) => Operator::F64x2RelaxedMadd,
        (Lanes::F64, true) => Operator::F64x2RelaxedNmadd,
        (Lanes::F32, false) => Operator::F32x4RelaxedMadd,
        (Lanes::F32, true) => Operator::F32x4RelaxedNmadd,
    }
}
