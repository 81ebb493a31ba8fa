//! The ways through a turn of an outer loop.

use std::collections::BTreeSet;

use wasmparser::{BlockType, Operator};

use crate::extreme::orders;
use crate::operators::locals_set_by;
use crate::stack;
use crate::unroll::{innermost, only_test};

/// The most ways that are looked at.
const MOST_PATHS: usize = 8;

/// A part of an outer loop's turn.
#[derive(Debug, Clone)]
pub(crate) enum Segment<'a> {
    /// Operators without a branch.
    Straight(Vec<Operator<'a>>),
    /// A turn of an inner loop up to its test, which is left on the stack.
    Loop(Vec<Operator<'a>>),
}

impl Segment<'_> {
    pub(crate) fn locals_set(&self) -> BTreeSet<u32> {
        let (Self::Straight(ops) | Self::Loop(ops)) = self;
        locals_set_by(ops)
    }
}

/// What must be so, or must not be, for a way to be taken: computed from locals that the loop does not set.
#[derive(Debug, Clone)]
pub(crate) struct Condition<'a> {
    pub(crate) ops: Vec<Operator<'a>>,
    pub(crate) holds: bool,
}

/// A way through a turn that is the same in every turn, straight segments and inner loops in turns; the last segment
/// leaves whether the loop goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Path<'a> {
    pub(crate) segments: Vec<Segment<'a>>,
    pub(crate) conditions: Vec<Condition<'a>>,
}

/// Where the only test of the loop at `at` stands and where the loop ends, if there are loops inside, nothing else goes round,
/// and nothing but straight code and a branch follows the test.
pub(crate) fn outer_loop(ops: &[Operator<'_>], at: usize) -> Option<(usize, usize)> {
    let blockty = BlockType::Empty;
    if ops[at] != (Operator::Loop { blockty }) || innermost(ops, at).is_some() {
        return None;
    }
    let (mut depth, mut test) = (0_u32, None);
    for (i, op) in ops.iter().enumerate().skip(at + 1) {
        match *op {
            Operator::End if depth == 0 => return Some((test?, i)),
            Operator::End => depth -= 1,
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth }
                if relative_depth == depth =>
            {
                let tests = depth == 0 && matches!(op, Operator::BrIf { .. }) && test.is_none();
                test = Some(tests.then_some(i)?);
            }
            Operator::Block { blockty } | Operator::Loop { blockty }
                if blockty == BlockType::Empty && test.is_none() =>
            {
                depth += 1;
            }
            Operator::If { .. } | Operator::BrTable { .. } => return None,
            // What is in the way of `stack::effect` has labels of its own.
            Operator::Br { .. } | Operator::BrIf { .. } => {}
            ref op if stack::effect(op).is_none() => return None,
            _ => {}
        }
    }
    None
}

/// A way under construction.
#[derive(Clone)]
struct Walk<'a> {
    path: Path<'a>,
    straight: Vec<Operator<'a>>,
    /// Where each open block ends.
    open: Vec<usize>,
    at: usize,
}

/// The ways through `turn`, of which each has an inner loop; `written` are the locals that it sets.
pub(crate) fn paths<'a>(turn: &[Operator<'a>], written: &impl Fn(u32) -> bool) -> Vec<Path<'a>> {
    let mut done = Vec::new();
    let mut todo = vec![Walk {
        path: Path::default(),
        straight: Vec::new(),
        open: Vec::new(),
        at: 0,
    }];
    while let Some(mut walk) = todo.pop() {
        let mut leads_on = true;
        while leads_on && walk.at < turn.len() {
            match walk.step(turn, written) {
                None => leads_on = false,
                Some(Some(other)) if todo.len() + done.len() < MOST_PATHS => todo.push(other),
                Some(_) => {}
            }
        }
        let Walk {
            mut path, straight, ..
        } = walk;
        path.segments.push(Segment::Straight(straight));
        if leads_on && path.segments.len() > 1 {
            done.push(path);
        }
    }
    done
}

impl<'a> Walk<'a> {
    /// Goes over the next operator; the other way to go on, if there are two. None if the way leads nowhere.
    fn step(
        &mut self,
        turn: &[Operator<'a>],
        written: &impl Fn(u32) -> bool,
    ) -> Option<Option<Self>> {
        let at = self.at;
        self.at += 1;
        match turn[at] {
            Operator::Block { .. } => self.open.push(end_of(turn, at)?),
            Operator::Loop { .. } => {
                let end = innermost(turn, at)?;
                let test = only_test(&turn[at + 1..end])?;
                let before = std::mem::take(&mut self.straight);
                self.path.segments.push(Segment::Straight(before));
                let inner = turn[at + 1..at + 1 + test].to_vec();
                self.path.segments.push(Segment::Loop(inner));
                self.open.push(end);
                self.at = at + 1 + test + 1;
            }
            Operator::End => drop(self.open.pop()),
            Operator::Br { relative_depth } => self.leave(relative_depth)?,
            Operator::BrIf { relative_depth } => return self.fork(relative_depth, written),
            ref op => self.straight.push(op.clone()),
        }
        Some(None)
    }

    fn leave(&mut self, depth: u32) -> Option<()> {
        let target = self.open.len().checked_sub(depth as usize + 1)?;
        self.at = self.open[target] + 1;
        self.open.truncate(target);
        Some(())
    }

    /// Goes on behind a branch that is not taken; the other way takes it, if it stays in the loop.
    fn fork(&mut self, depth: u32, written: &impl Fn(u32) -> bool) -> Option<Option<Self>> {
        let ops = invariant_expression(&self.straight, written)?;
        self.straight.push(Operator::Drop);
        let mut taken = self.clone();
        let condition = |holds| Condition {
            ops: ops.clone(),
            holds,
        };
        self.path.conditions.push(condition(false));
        taken.path.conditions.push(condition(true));
        Some(taken.leave(depth).map(|()| taken))
    }
}

/// The operators at the end of `ops` that make the topmost value, if they compute it from locals that are not written.
fn invariant_expression<'a>(
    ops: &[Operator<'a>],
    written: &impl Fn(u32) -> bool,
) -> Option<Vec<Operator<'a>>> {
    let mut wanted = 1_usize;
    for (i, op) in ops.iter().enumerate().rev() {
        let (takes, leaves) = stack::effect(op)?;
        let pure = match op {
            Operator::LocalGet { local_index } => !written(*local_index),
            Operator::I32Const { .. } => true,
            op => takes > 0 && compares(op),
        };
        if !pure || leaves != 1 {
            return None;
        }
        wanted = wanted - 1 + takes;
        if wanted == 0 {
            return Some(ops[i..].to_vec());
        }
    }
    None
}

fn compares(op: &Operator<'_>) -> bool {
    orders(op)
        || matches!(
            op,
            Operator::I32Eqz
                | Operator::I32Eq
                | Operator::I32Ne
                | Operator::I32Add
                | Operator::I32Sub
                | Operator::I32And
                | Operator::I32Or
        )
}

/// Where the block that begins at `at` ends.
fn end_of(ops: &[Operator<'_>], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, op) in ops.iter().enumerate().skip(at + 1) {
        match op {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth == 0 => return Some(i),
            Operator::End => depth -= 1,
            _ => {}
        }
    }
    None
}
