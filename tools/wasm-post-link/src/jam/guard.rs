//! What is checked before several turns are made at once.
//!
//! That there are so many turns; that all they access lies in the memory, so that nothing traps; and that what is stored to is
//! nowhere near what another stream accesses. With that their accesses may be made in any order. It is computed in 64 bits, where
//! nothing wraps: places that lie in the memory by this computation are those that 32 bits give.

use wasmparser::{Operator, ValType};

use super::inner::Inner;
use super::nest::Nest;
use super::stream::Stream;
use crate::body::Body;
use crate::operators::{local_get, local_set, local_tee};
use crate::sum::Sum;

/// Fewer turns of an inner loop are not worth the checks.
const LEAST_TURNS: i64 = 4;
const PAGE_BYTES_LOG2: i64 = 16;

/// Turns of an inner loop after the first.
#[derive(Clone, Copy)]
enum Turns {
    Known(i64),
    /// In a 64-bit local.
    Local(u32),
}

/// Writes operators that leave the block they are in unless `copies` turns of `nest` may be made at once. None, and nothing
/// of use written, if that cannot be told.
pub(crate) fn write_guard<'a>(
    nest: &Nest<'a>,
    copies: u32,
    body: &mut Body<'a>,
    out: &mut Vec<Operator<'a>>,
) -> Option<()> {
    for condition in &nest.conditions {
        out.extend(condition.ops.iter().cloned());
        if condition.holds {
            out.push(Operator::I32Eqz);
        }
        out.push(LEAVE);
    }
    for copy in 0..copies - 1 {
        let mut again = nest.again.clone();
        let grown = nest.again_step.wrapping_mul(copy);
        again.constant = again.constant.wrapping_add(grown);
        write_sum(&again, |local| local, out);
        out.extend([Operator::I32Eqz, LEAVE]);
    }
    let mut turns = Vec::new();
    for inner in &nest.inner {
        turns.push(match inner {
            Some(inner) => Some(write_turns(inner, body, out)?),
            None => None,
        });
    }
    let memory = body.local(ValType::I64);
    out.extend([
        Operator::MemorySize { mem: 0 },
        Operator::I64ExtendI32U,
        constant(PAGE_BYTES_LOG2),
        Operator::I64Shl,
        local_set(memory),
    ]);
    let mut ranges = Vec::new();
    for stream in &nest.streams {
        let turns = stream.segment.and_then(|segment| turns[segment]);
        ranges.push(write_range(stream, turns, copies, memory, body, out));
    }
    for (n, a) in nest.streams.iter().enumerate() {
        for (m, b) in nest.streams.iter().enumerate().skip(n + 1) {
            if a.stores || b.stores {
                write_apart(ranges[n], ranges[m], out);
            }
        }
    }
    Some(())
}

const LEAVE: Operator<'static> = Operator::BrIf { relative_depth: 0 };

fn constant(value: i64) -> Operator<'static> {
    Operator::I64Const { value }
}

/// Leaves `sum` on the stack, the value of whose term `id` is in local `local(id)`.
pub(crate) fn write_sum(sum: &Sum, local: impl Fn(u32) -> u32, out: &mut Vec<Operator<'_>>) {
    let constant = |value: u32| Operator::I32Const {
        value: value.cast_signed(),
    };
    out.push(constant(sum.constant));
    for &(id, factor) in &sum.terms {
        out.push(local_get(local(id)));
        if factor != 1 {
            out.extend([constant(factor), Operator::I32Mul]);
        }
        out.push(Operator::I32Add);
    }
}

/// How often `inner` goes round after its first turn: `again` grows by `step` until it is 0.
fn write_turns<'a>(
    inner: &Inner,
    body: &mut Body<'a>,
    out: &mut Vec<Operator<'a>>,
) -> Option<Turns> {
    if let Some(turns) = inner.known_turns() {
        return Some(Turns::Known(turns));
    }
    let (left, step) = (inner.left(), inner.step.cast_signed().unsigned_abs());
    if left.terms.is_empty() || !step.is_power_of_two() {
        return None;
    }
    let (bytes, turns) = (body.local(ValType::I32), body.local(ValType::I64));
    write_sum(&left, |local| local, out);
    out.push(local_set(bytes));
    if step > 1 {
        let value = (step - 1).cast_signed();
        out.extend([
            local_get(bytes),
            Operator::I32Const { value },
            Operator::I32And,
            LEAVE,
        ]);
    }
    out.extend([
        local_get(bytes),
        Operator::I64ExtendI32U,
        constant(step.trailing_zeros().into()),
        Operator::I64ShrU,
        local_tee(turns),
        constant(LEAST_TURNS - 1),
        Operator::I64LtU,
        LEAVE,
    ]);
    Some(Turns::Local(turns))
}

/// Leaves the block unless all that `stream` accesses lies in the memory; returns the locals with its first byte and the one
/// after its last.
fn write_range<'a>(
    stream: &Stream,
    turns: Option<Turns>,
    copies: u32,
    memory: u32,
    body: &mut Body<'a>,
    out: &mut Vec<Operator<'a>>,
) -> (u32, u32) {
    let (first, end) = (body.local(ValType::I64), body.local(ValType::I64));
    let by_copies = i64::from(copies - 1) * stream.delta;
    let mut low = stream.least + by_copies.min(0);
    let mut high = stream.most + by_copies.max(0);
    if let Some(Turns::Known(turns)) = turns {
        let by_turns = turns * stream.sigma;
        low += by_turns.min(0);
        high += by_turns.max(0);
    }
    let bound = |at: i64, moves: bool, out: &mut Vec<Operator<'a>>| {
        write_sum(&stream.base, |local| local, out);
        out.extend([Operator::I64ExtendI32U, constant(at), Operator::I64Add]);
        if let (Some(Turns::Local(turns)), true) = (turns, moves) {
            out.extend([
                local_get(turns),
                constant(stream.sigma),
                Operator::I64Mul,
                Operator::I64Add,
            ]);
        }
    };
    bound(low, stream.sigma < 0, out);
    out.extend([
        local_tee(first),
        // An address that wraps is another one than that and an offset, which is not added with wrap-around.
        constant(stream.least - stream.least_address),
        Operator::I64LtS,
        LEAVE,
    ]);
    bound(high, stream.sigma > 0, out);
    out.extend([local_tee(end), local_get(memory), Operator::I64GtS, LEAVE]);
    (first, end)
}

/// Leaves the block if the ranges have a byte in common.
fn write_apart(a: (u32, u32), b: (u32, u32), out: &mut Vec<Operator<'_>>) {
    out.extend([
        local_get(a.0),
        local_get(b.1),
        Operator::I64LtS,
        local_get(b.0),
        local_get(a.1),
        Operator::I64LtS,
        Operator::I32And,
        LEAVE,
    ]);
}
