//! Several turns of an outer loop, written as one.

use std::collections::{BTreeMap, HashMap};

use wasmparser::{BlockType, Operator, ValType};

use super::guard::write_sum;
use super::nest::{Inner, Nest};
use super::path::Segment;
use super::replace::{Fate, Made, fate};
use crate::body::Body;
use crate::sum::{Values, accessed};

/// Copies of a turn, each with locals of its own; those of the last one are the function's, so that these hold in the end what
/// the last turn leaves.
pub(crate) struct Copies<'n, 'a> {
    nest: &'n Nest<'a>,
    names: Vec<BTreeMap<u32, u32>>,
    count: u32,
}

fn get(local_index: u32) -> Operator<'static> {
    Operator::LocalGet { local_index }
}

fn set(local_index: u32) -> Operator<'static> {
    Operator::LocalSet { local_index }
}

fn tee(local_index: u32) -> Operator<'static> {
    Operator::LocalTee { local_index }
}

/// Adds `value` to what is on the stack.
fn write_add(value: u32, out: &mut Vec<Operator<'_>>) {
    if value != 0 {
        let value = value.cast_signed();
        out.extend([Operator::I32Const { value }, Operator::I32Add]);
    }
}

impl<'n, 'a> Copies<'n, 'a> {
    pub(crate) fn of(nest: &'n Nest<'a>, count: u32, body: &mut Body<'a>) -> Self {
        let mut names = Vec::new();
        for _ in 1..count {
            let own = |&local: &u32| Some((local, body.local(body.local_type(local)?)));
            names.push(nest.written.iter().filter_map(own).collect());
        }
        names.push(BTreeMap::new());
        Self { nest, names, count }
    }

    fn name(&self, copy: u32, local: u32) -> u32 {
        let own = self.names[copy as usize].get(&local);
        own.copied().unwrap_or(local)
    }

    /// Writes all of it; what the last copy's test leaves is on the stack.
    pub(crate) fn write(&self, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) {
        for (&local, &step) in &self.nest.steps {
            for copy in 0..self.count {
                out.push(get(local));
                write_add(step.wrapping_mul(copy), out);
                out.push(set(self.name(copy, local)));
            }
        }
        let last = self.nest.segments.len() - 1;
        for (n, segment) in self.nest.segments.iter().enumerate() {
            match (segment, &self.nest.inner[n]) {
                (Segment::Loop(ops), Some(inner)) => {
                    Loop::of(self, n, inner, ops).write(body, out);
                }
                (Segment::Straight(ops) | Segment::Loop(ops), _) => {
                    for copy in 0..self.count {
                        out.extend(ops.iter().map(|op| self.renamed(op, copy)));
                        if n == last && copy + 1 < self.count {
                            out.push(Operator::Drop);
                        }
                    }
                }
            }
        }
    }

    fn renamed(&self, op: &Operator<'a>, copy: u32) -> Operator<'a> {
        match *op {
            Operator::LocalGet { local_index } => get(self.name(copy, local_index)),
            Operator::LocalSet { local_index } => set(self.name(copy, local_index)),
            Operator::LocalTee { local_index } => tee(self.name(copy, local_index)),
            ref op => op.clone(),
        }
    }
}

/// An inner loop that is made for all copies.
struct Loop<'n, 'a> {
    copies: &'n Copies<'n, 'a>,
    inner: &'n Inner,
    ops: &'n [Operator<'a>],
    /// All its accesses of a turn, copy by copy.
    turn: Vec<Made<'n>>,
    /// Values that are at hand: what was accessed, and the local that holds it.
    known: Vec<(Made<'n>, u32)>,
    /// Stores that are made after the loop: locals of address and value.
    sunk: Vec<(u32, u32, Operator<'a>)>,
}

impl<'n, 'a> Loop<'n, 'a> {
    fn of(
        copies: &'n Copies<'n, 'a>,
        segment: usize,
        inner: &'n Inner,
        ops: &'n [Operator<'a>],
    ) -> Self {
        Self {
            copies,
            inner,
            ops,
            turn: Made::turn(copies.nest, segment, ops, copies.count),
            known: Vec::new(),
            sunk: Vec::new(),
        }
    }

    fn write(mut self, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) {
        let (copies, inner) = (self.copies, self.inner);
        self.write_invariant_loads(body, out);
        let blockty = BlockType::Empty;
        out.push(Operator::Loop { blockty });
        for copy in 0..copies.count {
            self.write_turn(copy, body, out);
            if copy + 1 < copies.count {
                out.push(Operator::Drop);
            }
        }
        let moves = |local: &u32| inner.steps.get(local).copied().flatten();
        for &local in inner.shared.keys() {
            if let Some(step) = moves(&local).filter(|step| *step != 0) {
                out.push(get(copies.name(0, local)));
                write_add(step, out);
                out.push(set(copies.name(0, local)));
            }
        }
        out.extend([Operator::BrIf { relative_depth: 0 }, Operator::End]);
        for (&local, &delta) in &inner.shared {
            let moved = moves(&local).is_some_and(|step| step != 0);
            for copy in (1..copies.count).filter(|_| moved) {
                out.push(get(copies.name(0, local)));
                write_add(delta.wrapping_mul(copy), out);
                out.push(set(copies.name(copy, local)));
            }
        }
        for (address, value, store) in self.sunk {
            out.extend([get(address), get(value), store]);
        }
    }

    /// Loads before the loop what each turn loads from the same place, to which the loop does not store.
    fn write_invariant_loads(&mut self, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) {
        let nest = self.copies.nest;
        let stored = |load: &Made<'_>| {
            self.turn
                .iter()
                .any(|m| m.access.stores && m.overlaps(load))
        };
        let invariant = |made: &&Made<'_>| {
            !made.access.stores && nest.streams[made.access.stream].sigma == 0 && !stored(made)
        };
        let loads: Vec<Made<'_>> = self.turn.iter().filter(invariant).copied().collect();
        for load in loads {
            if self.known.iter().any(|(known, _)| known.is(&load)) {
                continue;
            }
            let op = &self.ops[load.access.at];
            let (Some((_, ty)), Some((memarg, _))) = (accessed(op), crate::sum::access(op)) else {
                continue;
            };
            let mut place = load.access.place.clone();
            let beyond = (load.constant - load.access.constant) as u32;
            place.constant = place.constant.wrapping_add(beyond);
            let first =
                |id: u32| Values::entry_local(id).map_or(id, |local| self.copies.name(0, local));
            write_sum(&place, first, out);
            let memarg = wasmparser::MemArg {
                offset: 0,
                ..memarg
            };
            let local = body.local(ty);
            out.extend([crate::sum::with_offset(op, memarg), set(local)]);
            self.known.push((load, local));
        }
    }

    fn write_turn(&mut self, copy: u32, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) {
        let copies = self.copies;
        let each = self.turn.len() / copies.count as usize;
        let mut next = copy as usize * each;
        // Shared locals that were set already, and what holds their new values.
        let mut temporary: HashMap<u32, u32> = HashMap::new();
        for op in self.ops {
            match *op {
                Operator::LocalGet { local_index: local } => match self.inner.shared.get(&local) {
                    _ if temporary.contains_key(&local) => out.push(get(temporary[&local])),
                    Some(delta) => {
                        out.push(get(copies.name(0, local)));
                        write_add(delta.wrapping_mul(copy), out);
                    }
                    None => out.push(get(copies.name(copy, local))),
                },
                Operator::LocalSet { local_index: local } => {
                    out.push(set(self.target(local, copy, &mut temporary, body)));
                }
                Operator::LocalTee { local_index: local } => {
                    out.push(tee(self.target(local, copy, &mut temporary, body)));
                }
                ref op => match accessed(op) {
                    Some((_, ty)) => {
                        self.write_access(next, op, ty, body, out);
                        next += 1;
                    }
                    None => out.push(op.clone()),
                },
            }
        }
    }

    /// The local that is set in `local`'s place.
    fn target(
        &self,
        local: u32,
        copy: u32,
        temporary: &mut HashMap<u32, u32>,
        body: &mut Body<'a>,
    ) -> u32 {
        if !self.inner.shared.contains_key(&local) {
            return self.copies.name(copy, local);
        }
        let ty = body.local_type(local).unwrap_or(ValType::I32);
        *temporary.entry(local).or_insert_with(|| body.local(ty))
    }

    /// The access `turn[at]`, where its operands are on the stack.
    fn write_access(
        &mut self,
        at: usize,
        op: &Operator<'a>,
        ty: ValType,
        body: &mut Body<'a>,
        out: &mut Vec<Operator<'a>>,
    ) {
        let made = self.turn[at];
        if !made.access.stores {
            let known = self.known.iter().find(|(known, _)| known.is(&made));
            if let Some(&(_, local)) = known {
                out.extend([Operator::Drop, get(local)]);
            } else {
                let local = body.local(ty);
                out.extend([op.clone(), tee(local)]);
                self.known.push((made, local));
            }
            return;
        }
        let value = body.local(ty);
        let sigma = self.copies.nest.streams[made.access.stream].sigma;
        match fate(&self.turn, at, sigma) {
            Fate::Made => out.extend([tee(value), op.clone()]),
            Fate::Overwritten => out.extend([set(value), Operator::Drop]),
            Fate::Sunk => {
                let address = body.local(ValType::I32);
                out.extend([set(value), set(address)]);
                self.sunk.push((address, value, op.clone()));
            }
        }
        self.known.retain(|(known, _)| !known.overlaps(&made));
        self.known.push((made, value));
    }
}
