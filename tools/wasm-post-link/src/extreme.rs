//! An integer minimum or maximum that a loop carries along becomes a branch.
//!
//! `x = x > y ? x : y` by `select` makes each turn wait for the comparison of the last one. As a branch it is predicted,
//! and only a new extreme is waited for; these are rare in a long loop. C compilers for a CPU do so by what they know of
//! it (LLVM's conversion of conditional moves), but not for Wasm, and the engine translates as it is told.

use wasmparser::Operator;

use crate::body::{Body, Edits, is_barrier};
use crate::operators::{local_get, local_set, local_set_by};
use crate::stack::{self, Top};

/// A minimum or maximum: where its parts stand among the operators.
struct Extreme {
    /// The local that is carried along.
    local: u32,
    /// The other value's local.
    other: u32,
    /// What puts the carried value and the other one on the stack.
    arms: [usize; 2],
    /// The `select`; what sets the local stands behind it.
    select: usize,
    /// Whether the carried value stays where the condition holds.
    stays_if: bool,
}

/// Turns what it can into branches; returns how many.
pub(crate) fn branch(body: &mut Body<'_>) -> usize {
    let mut edits = Edits::default();
    let mut found = 0;
    for (begin, end) in innermost_loops(&body.ops) {
        let extremes = extremes(&body.ops, begin, end);
        let carried = |local: u32| {
            let sets = body.ops[begin..end].iter().filter(|op| sets(op, local));
            sets.count() == extremes.iter().filter(|e| e.local == local).count()
        };
        for extreme in extremes.iter().filter(|e| carried(e.local)) {
            extreme.write(&body.ops, &mut edits);
            found += 1;
        }
    }
    body.apply(edits);
    found
}

/// From the first operator inside to the `end` of each loop that has no loop inside.
fn innermost_loops(ops: &[Operator<'_>]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // Of each open block, where its inside begins if it is a loop that has none inside so far.
    let mut open: Vec<Option<usize>> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        match op {
            Operator::Loop { .. } => {
                open.fill(None);
                open.push(Some(at + 1));
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                open.push(None);
            }
            Operator::End => found.extend(open.pop().flatten().map(|begin| (begin, at))),
            _ => {}
        }
    }
    found
}

fn extremes(ops: &[Operator<'_>], begin: usize, end: usize) -> Vec<Extreme> {
    let mut found = Vec::new();
    let mut top: Top<usize> = Top::new();
    for at in begin..end {
        let op = &ops[at];
        if matches!(op, Operator::Select)
            && let (Some(&first), Some(&second)) = (top.peek(2), top.peek(1))
        {
            found.extend(Extreme::at_select(ops, at, [first, second]));
        }
        if is_barrier(op) {
            top.forget();
        } else if let Some((takes, leaves)) = stack::effect(op) {
            top.take(takes).for_each(drop);
            (0..leaves).for_each(|_| top.push(at));
        }
    }
    found
}

impl Extreme {
    /// What `select` does with the values that `arms` put on the stack, if it compares them and keeps one in its local.
    fn at_select(ops: &[Operator<'_>], select: usize, arms: [usize; 2]) -> Option<Self> {
        let local = local_set_by(ops.get(select + 1)?)?;
        let compared = select.checked_sub(3)?;
        if arms[1] >= compared || !orders(&ops[select - 1]) {
            return None;
        }
        let value = |at: usize| match ops[at] {
            Operator::LocalTee { local_index } => Some(local_index),
            ref op => gotten(op),
        };
        let stays_if = gotten(&ops[arms[0]]) == Some(local);
        let [carried_at, other_at] = if stays_if { arms } else { [arms[1], arms[0]] };
        let other = value(other_at)?;
        // The carried value is only read, and both locals still hold what the arms left.
        let as_left = gotten(&ops[carried_at]) == Some(local)
            && !ops[carried_at + 1..select].iter().any(|op| sets(op, local))
            && !ops[other_at + 1..select].iter().any(|op| sets(op, other));
        let operands = [&ops[compared], &ops[compared + 1]].map(gotten);
        let compares = operands.contains(&Some(local)) && operands.contains(&Some(other));
        (local != other && compares && as_left).then_some(Self {
            local,
            other,
            arms: [carried_at, other_at],
            select,
            stays_if,
        })
    }

    /// `T = value; if not (X > T) X = T`, where the arms were on the stack.
    fn write<'a>(&self, ops: &[Operator<'a>], edits: &mut Edits<'a>) {
        edits.replace(self.arms[0], Vec::new());
        let other = matches!(ops[self.arms[1]], Operator::LocalTee { .. });
        edits.replace(
            self.arms[1],
            other.then(|| local_set(self.other)).into_iter().collect(),
        );
        let blockty = wasmparser::BlockType::Empty;
        let mut new = Vec::new();
        if self.stays_if {
            new.push(Operator::I32Eqz);
        }
        new.extend([
            Operator::If { blockty },
            local_get(self.other),
            local_set(self.local),
            Operator::End,
        ]);
        if matches!(ops[self.select + 1], Operator::LocalTee { .. }) {
            new.push(local_get(self.local));
        }
        edits.replace(self.select, new);
        edits.replace(self.select + 1, Vec::new());
    }
}

fn gotten(op: &Operator<'_>) -> Option<u32> {
    match op {
        Operator::LocalGet { local_index } => Some(*local_index),
        _ => None,
    }
}

fn sets(op: &Operator<'_>, local: u32) -> bool {
    local_set_by(op) == Some(local)
}

/// Whether it compares two integers.
pub(crate) fn orders(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::I32LtS
            | Operator::I32LtU
            | Operator::I32GtS
            | Operator::I32GtU
            | Operator::I32LeS
            | Operator::I32LeU
            | Operator::I32GeS
            | Operator::I32GeU
    )
}
