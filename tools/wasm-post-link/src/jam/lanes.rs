//! Two copies of an inner loop's turn side by side in the lanes of vectors.
//!
//! `sum[j] += A[k] * B[k][j]` with `k` innermost is a chain of additions for each `j`. Copies for neighbouring `j` load
//! neighbouring elements of `B`: what one copy does with 64-bit numbers two of them do with vectors of two, lane by lane, to the
//! same bits.

use std::collections::BTreeSet;

use wasmparser::{Operator, V128, ValType};

use super::inner::Inner;
use super::nest::Nest;
use super::path::Segment;
use super::stream::Access;
use crate::body::Body;
use crate::sum::{access, accessed};

/// Bytes of a lane.
const LANE_BYTES: i64 = 8;

/// How many copies of the inner loop `segment` go into a vector: 2, or 1 if that cannot be or gains nothing.
pub(crate) fn lanes(nest: &Nest<'_>, segment: usize, inner: &Inner, body: &Body<'_>) -> u32 {
    let (Segment::Loop(ops) | Segment::Straight(ops)) = &nest.segments[segment];
    let accesses: Vec<&Access> = accesses_of(nest, segment).collect();
    let known = |local: u32| match body.local_type(local) {
        Some(ValType::F64) => true,
        // Each copy's is made of the first one's.
        Some(ValType::I32) => inner.shared.contains_key(&local) || !nest.written.contains(&local),
        _ => false,
    };
    let fits = |op: &Operator<'_>| match op {
        Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } => known(*local_index),
        op => access(op).is_some() || on_addresses(op) || widened(op).is_some(),
    };
    let lies_well = |a: &&Access| {
        let delta = nest.streams[a.stream].delta;
        let op = &ops[a.at];
        (delta == LANE_BYTES && matches!(op, Operator::F64Load { .. } | Operator::F64Store { .. }))
            || (delta == 0 && matches!(op, Operator::F64Load { .. }))
    };
    let moves = |a: &&Access| nest.streams[a.stream].delta == LANE_BYTES;
    let may = ops.iter().all(fits)
        && accesses.iter().all(lies_well)
        && accesses.iter().any(moves)
        && keep_their_order(nest, &accesses);
    if may { 2 } else { 1 }
}

/// Whether two copies of an inner loop go into vectors.
pub(crate) fn is_paired(nest: &Nest<'_>, body: &Body<'_>) -> bool {
    let mut inner = (0..).zip(&nest.inner);
    inner.any(|(n, inner)| {
        inner
            .as_ref()
            .is_some_and(|inner| lanes(nest, n, inner, body) > 1)
    })
}

/// The accesses of `segment`, in their order.
pub(crate) fn accesses_of<'n>(
    nest: &'n Nest<'_>,
    segment: usize,
) -> impl Iterator<Item = &'n Access> + Clone {
    let is_there = move |a: &&Access| a.segment == segment;
    nest.accesses.iter().filter(is_there)
}

/// Whether no access of a first copy meets one of the second that stands before it: side by side that one comes first.
fn keep_their_order(nest: &Nest<'_>, accesses: &[&Access]) -> bool {
    let meet = |a: &Access, b: &Access| {
        let distance = b.constant + nest.streams[b.stream].delta - a.constant;
        a.stream == b.stream && -b.width < distance && distance < a.width
    };
    accesses.iter().enumerate().all(|(n, a)| {
        let before = accesses[..n].iter();
        !before
            .into_iter()
            .any(|b| (a.stores || b.stores) && meet(a, b))
    })
}

/// The locals of the turn `ops` that a vector holds for two copies, and those of them that it sets.
pub(crate) fn numbers(ops: &[Operator<'_>], body: &Body<'_>) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut all, mut set) = (BTreeSet::new(), BTreeSet::new());
    for op in ops {
        let (local, sets) = match *op {
            Operator::LocalGet { local_index } => (local_index, false),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                (local_index, true)
            }
            _ => continue,
        };
        if body.local_type(local) == Some(ValType::F64) {
            all.insert(local);
            set.extend(sets.then_some(local));
        }
    }
    (all, set)
}

/// An access of both copies at once, which lie `delta` bytes apart, and the type of what it moves.
pub(crate) fn widened_access<'a>(op: &Operator<'a>, delta: i64) -> (Operator<'a>, ValType) {
    let op = match *op {
        Operator::F64Load { memarg } if delta == 0 => Operator::V128Load64Splat { memarg },
        Operator::F64Load { memarg } => Operator::V128Load { memarg },
        Operator::F64Store { memarg } => Operator::V128Store { memarg },
        ref op => op.clone(),
    };
    let ty = accessed(&op).map_or(ValType::V128, |(_, ty)| ty);
    (op, ty)
}

/// What does with both lanes what `op` does with one number.
pub(crate) fn widened(op: &Operator<'_>) -> Option<Operator<'static>> {
    Some(match *op {
        Operator::F64Add => Operator::F64x2Add,
        Operator::F64Sub => Operator::F64x2Sub,
        Operator::F64Mul => Operator::F64x2Mul,
        Operator::F64Div => Operator::F64x2Div,
        Operator::F64Neg => Operator::F64x2Neg,
        Operator::F64Abs => Operator::F64x2Abs,
        Operator::F64Sqrt => Operator::F64x2Sqrt,
        Operator::F64Const { value } => {
            let lane = i128::from(value.bits());
            let value = V128::from(lane << 64 | lane);
            Operator::V128Const { value }
        }
        _ => return None,
    })
}

/// Whether `op` makes addresses and counters, which are alike in all copies but for a constant.
fn on_addresses(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::I32Const { .. }
            | Operator::I32Add
            | Operator::I32Sub
            | Operator::I32Mul
            | Operator::I32Shl
            | Operator::I32Eq
            | Operator::I32Ne
            | Operator::I32Eqz
            | Operator::Drop
    )
}
