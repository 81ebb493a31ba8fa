//! A product that several sums use is computed anew in each, so that each can be fused.
//!
//! The source says `a - 2 * b + c` three times over, and a C compiler that may fuse does so in each place. For
//! Wasm it may not, and keeps the product in a local for all of them. A fused form costs no more than the
//! addition alone, and takes it from the adders to the multipliers. A product that is then used nowhere is
//! dropped by the engine.

use std::collections::HashMap;

use wasmparser::{Operator, ValType};

use crate::body::{Body, Edits, is_barrier};
use crate::fuse::{product, sum};
use crate::stack::{self, Top};

#[derive(Default)]
struct Seen {
    /// Locals that hold a product, and the operator that made it.
    holds: HashMap<u32, usize>,
    /// Operators that put such a local on the stack, and the product.
    reads: HashMap<usize, usize>,
    /// Products whose factors are kept in locals.
    factors: HashMap<usize, (u32, u32)>,
}

/// Splits shared products.
pub(crate) fn split(body: &mut Body<'_>) {
    let mut edits = Edits::default();
    let mut top: Top<usize> = Top::new();
    let mut seen = Seen::default();
    for at in 0..body.ops.len() {
        let op = body.ops[at].clone();
        if is_barrier(&op) {
            top.forget();
            seen.holds.clear();
            continue;
        }
        match op {
            Operator::LocalGet { local_index } => {
                if let Some(&mul) = seen.holds.get(&local_index) {
                    seen.reads.insert(at, mul);
                }
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                seen.holds.remove(&local_index);
                let made_by = top.peek(0).filter(|&&i| product(&body.ops[i]).is_some());
                if let Some(&mul) = made_by {
                    seen.holds.insert(local_index, mul);
                    seen.reads.insert(at, mul);
                }
            }
            _ => {}
        }
        if let Some((lanes, minus)) = sum(&op) {
            // `product - c` has no fused form.
            let operands = [
                top.peek(0).copied(),
                top.peek(1).copied().filter(|_| !minus),
            ];
            for read in operands.into_iter().flatten() {
                let mul = seen.reads.get(&read).copied();
                if let Some(mul) = mul.filter(|&mul| product(&body.ops[mul]) == Some(lanes)) {
                    anew(body, &mut edits, &mut seen, mul, read);
                    break;
                }
            }
        }
        let Some((takes, leaves)) = stack::effect(&op) else {
            continue;
        };
        for _ in 0..takes {
            top.pop();
        }
        for _ in 0..leaves {
            top.push(at);
        }
    }
    body.apply(edits);
}

/// After `read` stands the product of `mul`'s factors rather than what was read.
fn anew<'a>(body: &mut Body<'a>, edits: &mut Edits<'a>, seen: &mut Seen, mul: usize, read: usize) {
    let op = body.ops[mul].clone();
    let (a, b) = *seen.factors.entry(mul).or_insert_with(|| {
        let (a, b) = (body.local(ValType::V128), body.local(ValType::V128));
        let kept = vec![
            Operator::LocalSet { local_index: b },
            Operator::LocalTee { local_index: a },
            Operator::LocalGet { local_index: b },
            op.clone(),
        ];
        edits.replace(mul, kept);
        (a, b)
    });
    let product = vec![
        Operator::Drop,
        Operator::LocalGet { local_index: a },
        Operator::LocalGet { local_index: b },
        op,
    ];
    edits.after(read, product);
}
