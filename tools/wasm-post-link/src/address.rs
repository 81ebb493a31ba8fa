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
use crate::operators::{local_get, local_tee};
use crate::stack::{self, Top};
use crate::sum::{Sum, Terms, Values, access, with_offset};

/// The largest constant that becomes an offset. Small enough for every engine's guard region.
pub const REACH_BYTES: u32 = 1 << 20;

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
    values: Values,
    bases: HashMap<Terms, Vec<Base>>,
}

impl Known {
    fn forget(&mut self) {
        self.values.forget();
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
        let operands = top.take(takes).map(|value| value.map(|v| v.sum)).collect();
        let mut sum = Some(known.values.evaluate(&op, operands));
        for _ in 0..leaves {
            let sum = sum.take().unwrap_or_else(|| known.values.unknown());
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
            // The engine drops what the dropped value cost.
            edits.after(address.made_by, vec![Operator::Drop, local_get(base.local)]);
            edits.replace(at, vec![with_offset(op, MemArg { offset, ..memarg })]);
            return true;
        }
    }
    let local = body.local(ValType::I32);
    edits.after(address.made_by, vec![local_tee(local)]);
    bases.push(Base {
        constant: *constant,
        local,
        set_by: address.made_by,
    });
    false
}
