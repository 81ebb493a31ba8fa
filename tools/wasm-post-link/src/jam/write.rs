//! Several turns of an outer loop, written as one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasmparser::{BlockType, Operator, ValType};

use super::guard::write_sum;
use super::inner::Inner;
use super::lanes::{lanes, numbers, widened, widened_access};
use super::nest::Nest;
use super::path::Segment;
use super::replace::{Fate, Made, fate};
use super::stream::Access;
use crate::body::Body;
use crate::operators::{local_get, local_set, local_tee};
use crate::sum::{Values, accessed};

/// Copies of a turn, each with locals of its own; those of the last one are the function's, so that these hold in the end what
/// the last turn leaves.
pub(crate) struct Copies<'n, 'a> {
    nest: &'n Nest<'a>,
    names: Vec<BTreeMap<u32, u32>>,
    count: u32,
}

/// Adds `value` to what is on the stack.
fn write_add(value: u32, out: &mut Vec<Operator<'_>>) {
    if value != 0 {
        let value = value.cast_signed();
        out.extend([Operator::I32Const { value }, Operator::I32Add]);
    }
}

impl<'n, 'a> Copies<'n, 'a> {
    pub(crate) fn of_nest(nest: &'n Nest<'a>, count: u32, body: &mut Body<'a>) -> Self {
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
                out.push(local_get(local));
                write_add(step.wrapping_mul(copy), out);
                out.push(local_set(self.name(copy, local)));
            }
        }
        let last = self.nest.segments.len() - 1;
        for (n, segment) in self.nest.segments.iter().enumerate() {
            match (segment, &self.nest.inner[n]) {
                (Segment::Loop(ops), Some(inner)) => {
                    Loop::of_copies(self, n, inner, ops, body).write(body, out);
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
            Operator::LocalGet { local_index } => local_get(self.name(copy, local_index)),
            Operator::LocalSet { local_index } => local_set(self.name(copy, local_index)),
            Operator::LocalTee { local_index } => local_tee(self.name(copy, local_index)),
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
    /// How many copies go side by side in vectors; a strand is so many.
    lanes: u32,
    /// Of each strand, where it has more than one copy: its locals of numbers, and the vectors that hold them inside the loop.
    vectors: Vec<BTreeMap<u32, u32>>,
}

impl<'n, 'a> Loop<'n, 'a> {
    fn of_copies(
        copies: &'n Copies<'n, 'a>,
        segment: usize,
        inner: &'n Inner,
        ops: &'n [Operator<'a>],
        body: &Body<'a>,
    ) -> Self {
        let lanes = match copies.count % 2 {
            0 => lanes(copies.nest, segment, inner, body),
            _ => 1,
        };
        Self {
            copies,
            inner,
            ops,
            turn: Made::turn(copies.nest, segment, ops, copies.count, lanes),
            known: Vec::new(),
            sunk: Vec::new(),
            lanes,
            vectors: Vec::new(),
        }
    }

    fn strands(&self) -> u32 {
        self.copies.count / self.lanes
    }

    fn write(mut self, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) {
        let (copies, inner) = (self.copies, self.inner);
        self.write_invariant_loads(body, out);
        let set = self.write_packing(body, out);
        let blockty = BlockType::Empty;
        out.push(Operator::Loop { blockty });
        for strand in 0..self.strands() {
            self.write_turn(strand, body, out);
            if strand + 1 < self.strands() {
                out.push(Operator::Drop);
            }
        }
        let moves = |local: &u32| inner.steps.get(local).copied().flatten();
        for &local in inner.shared.keys() {
            if let Some(step) = moves(&local).filter(|step| *step != 0) {
                out.push(local_get(copies.name(0, local)));
                write_add(step, out);
                out.push(local_set(copies.name(0, local)));
            }
        }
        out.extend([Operator::BrIf { relative_depth: 0 }, Operator::End]);
        for (&local, &delta) in &inner.shared {
            let moved = moves(&local).is_some_and(|step| step != 0);
            for copy in (1..copies.count).filter(|_| moved) {
                out.push(local_get(copies.name(0, local)));
                write_add(delta.wrapping_mul(copy), out);
                out.push(local_set(copies.name(copy, local)));
            }
        }
        self.write_unpacking(&set, out);
        for (address, value, store) in self.sunk {
            out.extend([local_get(address), local_get(value), store]);
        }
    }

    /// Puts the numbers of each strand's copies into vectors, where there are any; returns which of them the loop sets.
    fn write_packing(&mut self, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) -> BTreeSet<u32> {
        if self.lanes == 1 {
            return BTreeSet::new();
        }
        let (all, set) = numbers(self.ops, body);
        for strand in 0..self.strands() {
            let mut vectors = BTreeMap::new();
            for &local in &all {
                let own = self.copies.nest.written.contains(&local);
                let first = self.vectors.first().and_then(|first| first.get(&local));
                if let (false, Some(&first)) = (own, first) {
                    vectors.insert(local, first);
                    continue;
                }
                let vector = body.local(ValType::V128);
                vectors.insert(local, vector);
                let [even, odd] = self.pair(strand, local);
                if !own || self.inner.live_in.contains(&local) {
                    out.extend([local_get(even), Operator::F64x2Splat]);
                    if even != odd {
                        out.extend([local_get(odd), Operator::F64x2ReplaceLane { lane: 1 }]);
                    }
                    out.push(local_set(vector));
                }
            }
            self.vectors.push(vectors);
        }
        set
    }

    /// Gives the copies of each strand their numbers back.
    fn write_unpacking(&self, set: &BTreeSet<u32>, out: &mut Vec<Operator<'a>>) {
        for (strand, vectors) in (0..).zip(&self.vectors) {
            for &local in set {
                for (lane, copy) in (0..).zip(self.pair(strand, local)) {
                    let vector = local_get(vectors[&local]);
                    let extract = Operator::F64x2ExtractLane { lane };
                    out.extend([vector, extract, local_set(copy)]);
                }
            }
        }
    }

    /// The names of `local` in both copies of `strand`.
    fn pair(&self, strand: u32, local: u32) -> [u32; 2] {
        [2 * strand, 2 * strand + 1].map(|copy| self.copies.name(copy, local))
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
            if self.known.iter().any(|(known, _)| known.is_same(&load)) {
                continue;
            }
            let op = &self.ops[load.access.at];
            let Some((memarg, _)) = crate::sum::access(op) else {
                continue;
            };
            let (op, ty) = self.access(load.access, op);
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
            out.extend([crate::sum::with_offset(&op, memarg), local_set(local)]);
            self.known.push((load, local));
        }
    }

    /// `access`, which is `op`, for all copies of a strand, and the type of what it moves.
    fn access(&self, access: &Access, op: &Operator<'a>) -> (Operator<'a>, ValType) {
        if self.lanes > 1 {
            return widened_access(op, self.copies.nest.streams[access.stream].delta);
        }
        let ty = accessed(op).map_or(ValType::I32, |(_, ty)| ty);
        (op.clone(), ty)
    }

    fn write_turn(&mut self, strand: u32, body: &mut Body<'a>, out: &mut Vec<Operator<'a>>) {
        let copies = self.copies;
        let copy = strand * self.lanes;
        let each = self.turn.len() / self.strands() as usize;
        let mut next = strand as usize * each;
        // Shared locals that were set already, and what holds their new values.
        let mut temporary: HashMap<u32, u32> = HashMap::new();
        let vectors = self
            .vectors
            .get(strand as usize)
            .cloned()
            .unwrap_or_default();
        for op in self.ops {
            match *op {
                Operator::LocalGet { local_index } if vectors.contains_key(&local_index) => {
                    out.push(local_get(vectors[&local_index]));
                }
                Operator::LocalSet { local_index } if vectors.contains_key(&local_index) => {
                    out.push(local_set(vectors[&local_index]));
                }
                Operator::LocalTee { local_index } if vectors.contains_key(&local_index) => {
                    out.push(local_tee(vectors[&local_index]));
                }
                Operator::LocalGet { local_index: local } => match self.inner.shared.get(&local) {
                    _ if temporary.contains_key(&local) => out.push(local_get(temporary[&local])),
                    Some(delta) => {
                        out.push(local_get(copies.name(0, local)));
                        write_add(delta.wrapping_mul(copy), out);
                    }
                    None => out.push(local_get(copies.name(copy, local))),
                },
                Operator::LocalSet { local_index: local } => {
                    out.push(local_set(self.target(local, copy, &mut temporary, body)));
                }
                Operator::LocalTee { local_index: local } => {
                    out.push(local_tee(self.target(local, copy, &mut temporary, body)));
                }
                ref op if accessed(op).is_some() => {
                    self.write_access(next, op, body, out);
                    next += 1;
                }
                ref op => {
                    let wide = (self.lanes > 1).then(|| widened(op)).flatten();
                    out.push(wide.unwrap_or_else(|| op.clone()));
                }
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
        body: &mut Body<'a>,
        out: &mut Vec<Operator<'a>>,
    ) {
        let made = self.turn[at];
        let (op, ty) = self.access(made.access, op);
        if !made.access.stores {
            let known = self.known.iter().find(|(known, _)| known.is_same(&made));
            if let Some(&(_, local)) = known {
                out.extend([Operator::Drop, local_get(local)]);
            } else {
                let local = body.local(ty);
                out.extend([op, local_tee(local)]);
                self.known.push((made, local));
            }
            return;
        }
        let value = body.local(ty);
        let sigma = self.copies.nest.streams[made.access.stream].sigma;
        match fate(&self.turn, at, sigma) {
            Fate::Made => out.extend([local_tee(value), op]),
            Fate::Overwritten => out.extend([local_set(value), Operator::Drop]),
            Fate::Sunk => {
                let address = body.local(ValType::I32);
                out.extend([local_set(value), local_set(address)]);
                self.sunk.push((address, value, op));
            }
        }
        self.known.retain(|(known, _)| !known.overlaps(&made));
        self.known.push((made, value));
    }
}
