//! Addresses that differ by a constant become one address and constant offsets.
//!
//! Wasm adds 32-bit addresses with wrap-around, but a load's offset without. So neither the C compiler nor
//! the engine may turn `load(p + 16)` into `load offset=16 (p)`, and each element of an unrolled loop costs
//! an addition of its own. Here it is known more: an address `p` that was accessed before on the same path
//! lies inside the memory, or the program would have trapped. If the memory ends [`REACH_BYTES`] below
//! 4 GiB, `p` plus a smaller constant cannot wrap, and the two forms mean the same.

use std::collections::HashMap;

use wasmparser::{MemArg, Operator, ValType};

use crate::body::{Body, Edits, is_barrier};
use crate::stack::{self, Top};

/// The largest constant that becomes an offset. Small enough for every engine's guard region.
pub const REACH_BYTES: u32 = 1 << 20;

/// A sum of unknown values, each with its factor, without its constant: the values and factors sorted.
type Terms = Vec<(u32, u32)>;

/// What is known of a 32-bit value: terms plus a constant, modulo 2^32.
#[derive(Clone, Default)]
struct Sum {
    terms: Terms,
    constant: u32,
}

/// An address that was accessed.
struct Base {
    constant: u32,
    local: u32,
    /// The operator after which `local` holds it.
    set_by: usize,
}

struct Value {
    sum: Sum,
    made_by: usize,
}

#[derive(Default)]
struct Known {
    locals: HashMap<u32, Sum>,
    bases: HashMap<Terms, Vec<Base>>,
    unknowns: u32,
}

impl Known {
    fn unknown(&mut self) -> Sum {
        self.unknowns += 1;
        Sum {
            terms: vec![(self.unknowns, 1)],
            constant: 0,
        }
    }

    fn local(&mut self, index: u32) -> Sum {
        if let Some(sum) = self.locals.get(&index) {
            return sum.clone();
        }
        let sum = self.unknown();
        self.locals.insert(index, sum.clone());
        sum
    }

    fn forget(&mut self) {
        self.locals.clear();
        self.bases.clear();
    }
}

/// Merges addresses; returns how many loads and stores got another one.
pub(crate) fn merge(body: &mut Body<'_>) -> usize {
    let mut edits = Edits::default();
    let mut known = Known::default();
    let mut top: Top<Value> = Top::new();
    let mut merged = 0;
    for at in 0..body.ops.len() {
        let op = body.ops[at].clone();
        if is_barrier(&op) {
            top.forget();
            // Entering a block changes nothing; at its end, or at a loop, other paths join.
            if !matches!(op, Operator::Block { .. }) {
                known.forget();
            }
            continue;
        }
        let Some((takes, leaves)) = stack::effect(&op) else {
            continue;
        };
        if let Some((memarg, values)) = access(&op)
            && let Some(address) = top.peek(values)
        {
            merged += usize::from(rebase(
                body,
                &mut known,
                &mut edits,
                (at, &op),
                memarg,
                address,
            ));
        }
        let sum = evaluate(&op, &mut known, &mut top, takes);
        let mut sum = Some(sum);
        for _ in 0..leaves {
            let sum = sum.take().unwrap_or_else(|| known.unknown());
            top.push(Value { sum, made_by: at });
        }
    }
    body.apply(edits);
    merged
}

/// Gives the access `op` at `at` an address that is known already, or makes its own known.
fn rebase<'a>(
    body: &mut Body<'a>,
    known: &mut Known,
    edits: &mut Edits<'a>,
    (at, op): (usize, &Operator<'a>),
    memarg: MemArg,
    address: &Value,
) -> bool {
    let Sum { terms, constant } = &address.sum;
    if terms.is_empty() || memarg.offset >= u64::from(REACH_BYTES) {
        return false;
    }
    let bases = known.bases.entry(terms.clone()).or_default();
    // A store's address is made before its value: what the value's loads made known came too late for it.
    for base in bases.iter().filter(|base| base.set_by < address.made_by) {
        let offset = u64::from(constant.wrapping_sub(base.constant)) + memarg.offset;
        if offset < u64::from(REACH_BYTES) {
            let local_index = base.local;
            // The engine drops what the dropped value cost.
            edits.after(
                address.made_by,
                vec![Operator::Drop, Operator::LocalGet { local_index }],
            );
            edits.replace(at, vec![with_offset(op, MemArg { offset, ..memarg })]);
            return true;
        }
    }
    let local_index = body.local(ValType::I32);
    edits.after(address.made_by, vec![Operator::LocalTee { local_index }]);
    bases.push(Base {
        constant: *constant,
        local: local_index,
        set_by: address.made_by,
    });
    false
}

/// Takes `op`'s operands off `top`; what it leaves, where that is a sum.
fn evaluate(op: &Operator<'_>, known: &mut Known, top: &mut Top<Value>, takes: usize) -> Sum {
    let mut operand = |known: &mut Known| match top.pop() {
        Some(value) => value.sum,
        None => known.unknown(),
    };
    match *op {
        Operator::I32Const { value } => Sum {
            terms: Vec::new(),
            constant: value.cast_unsigned(),
        },
        Operator::LocalGet { local_index } => known.local(local_index),
        Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
            let sum = operand(known);
            known.locals.insert(local_index, sum.clone());
            sum
        }
        Operator::I32Add | Operator::I32Sub => {
            let (right, left) = (operand(known), operand(known));
            let sign = if matches!(op, Operator::I32Add) {
                1
            } else {
                u32::MAX
            };
            plus(left, &right, sign)
        }
        Operator::I32Shl => {
            let (right, left) = (operand(known), operand(known));
            if right.terms.is_empty() {
                plus(Sum::default(), &left, 1 << (right.constant & 31))
            } else {
                known.unknown()
            }
        }
        _ => {
            for _ in 0..takes {
                operand(known);
            }
            known.unknown()
        }
    }
}

/// `left + factor * right`.
fn plus(mut left: Sum, right: &Sum, factor: u32) -> Sum {
    left.constant = left
        .constant
        .wrapping_add(right.constant.wrapping_mul(factor));
    for &(value, times) in &right.terms {
        let times = times.wrapping_mul(factor);
        match left.terms.binary_search_by_key(&value, |term| term.0) {
            Ok(i) => left.terms[i].1 = left.terms[i].1.wrapping_add(times),
            Err(i) => left.terms.insert(i, (value, times)),
        }
    }
    left.terms.retain(|term| term.1 != 0);
    left
}

macro_rules! accesses {
    (loads: $($load:ident)*; stores: $($store:ident)*) => {
        /// The memory operand of a plain load or store, and how many values lie above its address.
        fn access(op: &Operator<'_>) -> Option<(MemArg, usize)> {
            match op {
                $(Operator::$load { memarg } => Some((*memarg, 0)),)*
                $(Operator::$store { memarg } => Some((*memarg, 1)),)*
                _ => None,
            }
        }

        fn with_offset<'a>(op: &Operator<'a>, memarg: MemArg) -> Operator<'a> {
            match op {
                $(Operator::$load { .. } => Operator::$load { memarg },)*
                $(Operator::$store { .. } => Operator::$store { memarg },)*
                op => op.clone(),
            }
        }
    };
}

accesses! {
    loads: I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U
        V128Load V128Load32Splat V128Load64Splat V128Load32Zero V128Load64Zero V128Load8x8S
        V128Load8x8U V128Load16x4S V128Load16x4U V128Load32x2S V128Load32x2U;
    stores: I32Store I64Store F32Store F64Store I32Store8 I32Store16 V128Store
}
