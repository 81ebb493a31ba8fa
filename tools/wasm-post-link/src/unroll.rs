//! Innermost loops are unrolled, each copy followed by the next.
//!
//! Compiled code has no check at loop headers, and still PolyBench takes longer without this pass, also where the
//! C compiler unrolls instead (docs/lab-notes). Neighbouring accesses of several turns can share an address only
//! where no loop header lies between them. Every copy keeps its own test of the loop's condition: the number of
//! turns need not be known and nothing is computed twice.

use wasmparser::{BlockType, Operator};

use crate::body::Body;
use crate::stack;

/// How far loops are unrolled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The most copies of a loop.
    pub(crate) copies: usize,
    /// The most operators of all copies together; a longer loop stays as it is.
    pub(crate) operators: usize,
}

/// Unrolls what can be unrolled; returns how many loops.
pub(crate) fn unroll(body: &mut Body<'_>, limits: Limits) -> usize {
    let old = std::mem::take(&mut body.ops);
    let mut new = Vec::with_capacity(old.len() * 2);
    let mut loops = 0;
    let mut at = 0;
    while at < old.len() {
        let copied = innermost(&old, at).and_then(|end| {
            let inside = &old[at + 1..end];
            let copies = (limits.operators / weight(inside).max(1)).min(limits.copies);
            (copies > 1).then(|| {
                match only_test(inside) {
                    Some(test) => straight(&mut new, inside, test, copies),
                    None => branchy(&mut new, inside, copies),
                }
                end + 1
            })
        });
        if let Some(next) = copied {
            loops += 1;
            at = next;
        } else {
            new.push(old[at].clone());
            at += 1;
        }
    }
    body.ops = new;
    loops
}

/// The index of the `end` of the loop that begins at `at`, if one does, it has no loop inside, and it
/// neither takes nor leaves values.
pub(crate) fn innermost(ops: &[Operator<'_>], at: usize) -> Option<usize> {
    if !matches!(
        ops[at],
        Operator::Loop {
            blockty: BlockType::Empty
        }
    ) {
        return None;
    }
    let mut depth = 0_usize;
    let mut again = false;
    for (i, op) in ops.iter().enumerate().skip(at + 1) {
        match op {
            Operator::Block { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth == 0 => return again.then_some(i),
            Operator::End => depth -= 1,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                again |= *relative_depth as usize == depth;
            }
            // What has labels of another kind is left alone.
            Operator::Loop { .. }
            | Operator::BrTable { .. }
            | Operator::TryTable { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. } => return None,
            _ => {}
        }
    }
    None
}

/// How many operators become instructions.
fn weight(ops: &[Operator<'_>]) -> usize {
    ops.iter()
        .filter(|op| {
            !matches!(
                op,
                Operator::LocalGet { .. }
                    | Operator::LocalSet { .. }
                    | Operator::LocalTee { .. }
                    | Operator::I32Const { .. }
                    | Operator::End
                    | Operator::Block { .. }
            )
        })
        .count()
}

/// Where the test stands in a loop without blocks inside that goes round nowhere else, if nothing but the condition is known to
/// be on the stack there: what lay below would be left to the copy after it.
pub(crate) fn only_test(inside: &[Operator<'_>]) -> Option<usize> {
    let mut test = None;
    for (i, op) in inside.iter().enumerate() {
        match op {
            Operator::BrIf { relative_depth: 0 } if test.is_none() => test = Some(i),
            Operator::BrIf { relative_depth: 0 }
            | Operator::Br { relative_depth: 0 }
            | Operator::Block { .. }
            | Operator::If { .. } => return None,
            _ => {}
        }
    }
    let mut height = 0_usize;
    for op in &inside[..test?] {
        let (takes, leaves) = stack::effect(op)?;
        height = height.checked_sub(takes)? + leaves;
    }
    test.filter(|_| height == 1)
}

/// `block loop B eqz br_if 1 B eqz br_if 1 ... B br_if 0 end end T`, where T followed the test inside the
/// loop: no label between the copies.
fn straight<'a>(new: &mut Vec<Operator<'a>>, inside: &[Operator<'a>], test: usize, copies: usize) {
    let blockty = BlockType::Empty;
    new.extend([Operator::Block { blockty }, Operator::Loop { blockty }]);
    for copy in 1..=copies {
        new.extend(inside[..test].iter().map(|op| moved(op, 0, 1)));
        if copy < copies {
            new.extend([Operator::I32Eqz, Operator::BrIf { relative_depth: 1 }]);
        }
    }
    new.extend([
        Operator::BrIf { relative_depth: 0 },
        Operator::End,
        Operator::End,
    ]);
    new.extend(inside[test + 1..].iter().map(|op| moved(op, 0, -1)));
}

/// `block loop block B br 2 end block B br 2 end ... B end end`: going round is leaving a copy's block,
/// leaving the loop is leaving the outer one.
fn branchy<'a>(new: &mut Vec<Operator<'a>>, inside: &[Operator<'a>], copies: usize) {
    let blockty = BlockType::Empty;
    new.extend([Operator::Block { blockty }, Operator::Loop { blockty }]);
    for _ in 1..copies {
        new.push(Operator::Block { blockty });
        copy_nested(new, inside, 2);
        new.extend([Operator::Br { relative_depth: 2 }, Operator::End]);
    }
    copy_nested(new, inside, 1);
    new.extend([Operator::End, Operator::End]);
}

/// `inside`, with labels beyond the loop `deeper` further away.
pub(crate) fn copy_nested<'a>(new: &mut Vec<Operator<'a>>, inside: &[Operator<'a>], deeper: i32) {
    let mut depth = 0;
    for op in inside {
        new.push(moved(op, depth, deeper));
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::End => depth -= 1,
            _ => {}
        }
    }
}

/// `op`, at `depth` blocks inside the loop, with labels beyond the loop `deeper` further away.
pub(crate) fn moved<'a>(op: &Operator<'a>, depth: u32, deeper: i32) -> Operator<'a> {
    let label = |at: u32| {
        if at > depth {
            at.saturating_add_signed(deeper)
        } else {
            at
        }
    };
    match op {
        Operator::Br { relative_depth } => Operator::Br {
            relative_depth: label(*relative_depth),
        },
        Operator::BrIf { relative_depth } => Operator::BrIf {
            relative_depth: label(*relative_depth),
        },
        op => op.clone(),
    }
}
