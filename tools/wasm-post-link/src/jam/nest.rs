//! What is known of an outer loop's turn: what it accesses, and how that moves from turn to turn.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::Operator;

use super::inner::Inner;
use super::path::{Condition, Path, Segment};
use super::stream::{Access, Found, Stream, Streams};
use crate::operators::{computes, has_memory_operand, local_set_by};
use crate::stack::{self, Top};
use crate::sum::{Steps, Sum, Values, access, accessed};

/// An outer loop's turn, several of which can be made at once.
#[derive(Debug)]
pub(crate) struct Nest<'a> {
    pub(crate) segments: Vec<Segment<'a>>,
    pub(crate) conditions: Vec<Condition<'a>>,
    pub(crate) accesses: Vec<Access>,
    pub(crate) streams: Vec<Stream>,
    /// Of each segment that is a loop.
    pub(crate) inner: Vec<Option<Inner>>,
    /// Locals that are set.
    pub(crate) written: BTreeSet<u32>,
    /// Of these, which begin a turn with what the last one left, and by how much that has grown.
    pub(crate) steps: BTreeMap<u32, u32>,
    /// Not zero where the turn is not the last one, and by how much it changes from turn to turn.
    pub(crate) again: Sum,
    pub(crate) again_step: u32,
}

struct Reader {
    found: Vec<Found>,
    /// Locals that the whole turn sets, those set so far, and those that were read before.
    set: BTreeSet<u32>,
    written: BTreeSet<u32>,
    live_in: BTreeSet<u32>,
}

impl Reader {
    /// Goes over straight code; returns what is left on the stack, and what the last operator compares if that is an
    /// inequality. None if it is more than computing, loading and storing, or works on what lies below on the stack.
    fn read(
        &mut self,
        ops: &[Operator<'_>],
        segment: usize,
        values: &mut Values,
    ) -> Option<(usize, Sum)> {
        let mut top: Top<Sum> = Top::new();
        let mut tested = Sum::default();
        for (at, op) in ops.iter().enumerate() {
            let (takes, leaves) = stack::effect(op)?;
            if top.len() < takes || !may_be_moved(op, leaves) {
                return None;
            }
            self.note_local(op);
            if let (Some((memarg, above)), Some((width, _))) = (access(op), accessed(op)) {
                let mut place = top.peek(above)?.clone();
                let offset = u32::try_from(memarg.offset).ok()?;
                place.constant = place.constant.wrapping_add(offset);
                self.found.push(Found {
                    segment,
                    at,
                    width: width.into(),
                    offset: offset.into(),
                    stores: above == 1,
                    outer_place: place.clone(),
                    place,
                });
            }
            let operands: Vec<Option<Sum>> = top.take(takes).collect();
            let difference = match (op, &operands[..]) {
                (Operator::I32Ne, [Some(right), Some(left)]) => Some(left.clone().minus(right)),
                _ => None,
            };
            let mut sum = Some(values.evaluate(op, operands));
            tested = difference.or_else(|| sum.clone())?;
            for _ in 0..leaves {
                top.push(sum.take().unwrap_or_else(|| values.unknown()));
            }
        }
        Some((top.len(), tested))
    }

    /// The inner loops of `path`, one or none for each segment, and what is not zero where the turn is not the last one. None if
    /// a segment is more than [`Self::read`] knows, or leaves something else on the stack.
    fn read_path(
        &mut self,
        path: &Path<'_>,
        values: &mut Values,
    ) -> Option<(Vec<Option<Read>>, Sum)> {
        let mut loops = Vec::new();
        let mut again = None;
        for (n, segment) in path.segments.iter().enumerate() {
            match segment {
                Segment::Straight(ops) => {
                    let last = n + 1 == path.segments.len();
                    let (left, tested) = self.read(ops, n, values)?;
                    if left != usize::from(last) {
                        return None;
                    }
                    again = last.then_some(tested);
                    loops.push(None);
                }
                Segment::Loop(ops) => loops.push(Some(self.read_loop(ops, n, values)?)),
            }
        }
        Some((loops, again?))
    }

    fn read_loop(&mut self, ops: &[Operator<'_>], n: usize, values: &mut Values) -> Option<Read> {
        let mut inside = Values::at_entry();
        let before = self.found.len();
        let written_before = std::mem::take(&mut self.written);
        let live_before = std::mem::take(&mut self.live_in);
        let (left, tested) = self.read(ops, n, &mut inside)?;
        if left != 1 {
            return None;
        }
        let set = std::mem::replace(&mut self.written, written_before);
        // What the loop reads first was written before it, or the outer turn began with it.
        let live_in = std::mem::replace(&mut self.live_in, live_before);
        let begun_with = live_in.difference(&self.written);
        self.live_in.extend(begun_with);
        let at_entry = self.set.iter();
        let at_entry = at_entry.map(|&local| (local, values.local(local)));
        let at_entry = at_entry.collect();
        self.written.extend(&set);
        for found in &mut self.found[before..] {
            found.outer_place = values.substitute(&found.place);
        }
        let steps = inside.steps(&set);
        let step = tested.stride(&steps)?;
        let again = values.substitute(&tested);
        for &local in &set {
            values.forget_local(local);
        }
        Some(Read {
            again,
            step,
            steps,
            live_in,
            at_entry,
        })
    }

    fn note_local(&mut self, op: &Operator<'_>) {
        match op {
            Operator::LocalGet { local_index } if !self.written.contains(local_index) => {
                self.live_in.insert(*local_index);
            }
            op => self.written.extend(local_set_by(op)),
        }
    }
}

/// Whether `op` may be made earlier or later than it stands: it only computes, or is an access that is known.
fn may_be_moved(op: &Operator<'_>, leaves: usize) -> bool {
    let traps = matches!(
        op,
        Operator::I32DivS
            | Operator::I32DivU
            | Operator::I32RemS
            | Operator::I32RemU
            | Operator::I64DivS
            | Operator::I64DivU
            | Operator::I64RemS
            | Operator::I64RemU
            | Operator::I32TruncF32S
            | Operator::I32TruncF32U
            | Operator::I32TruncF64S
            | Operator::I32TruncF64U
            | Operator::I64TruncF32S
            | Operator::I64TruncF32U
            | Operator::I64TruncF64S
            | Operator::I64TruncF64U
    );
    access(op).is_some() || (computes(op, leaves) && !has_memory_operand(op) && !traps)
}

/// An inner loop as it is read, before the outer loop's steps are known.
struct Read {
    again: Sum,
    step: u32,
    steps: Steps,
    live_in: BTreeSet<u32>,
    /// What each local that the outer turn sets holds where it begins.
    at_entry: BTreeMap<u32, Sum>,
}

impl<'a> Nest<'a> {
    /// Whether something is saved by several turns at once: sums that wait for themselves, or accesses that they have in common.
    pub(crate) fn gains(&self) -> bool {
        let mut inner = self.inner.iter().flatten();
        let sums = inner.any(|inner| {
            let carried = |local: &u32| inner.live_in.contains(local);
            inner
                .steps
                .iter()
                .any(|(local, step)| step.is_none() && carried(local))
        });
        let in_common = self.accesses.iter().any(|access| {
            let stream = &self.streams[access.stream];
            self.inner[access.segment].is_some()
                && (stream.delta == 0) != (stream.sigma == 0)
                && (access.stores || stream.delta == 0)
        });
        sums || in_common
    }

    /// What is known of `path`; none if its turns cannot be made `copies` at once.
    pub(crate) fn of_path(path: Path<'a>, copies: u32) -> Option<Self> {
        let mut reader = Reader {
            found: Vec::new(),
            set: path.segments.iter().flat_map(Segment::locals_set).collect(),
            written: BTreeSet::new(),
            live_in: BTreeSet::new(),
        };
        let mut values = Values::at_entry();
        let (loops, again) = reader.read_path(&path, &mut values)?;
        let steps = outer_steps(&reader, &mut values)?;
        let step = |local: u32| match (steps.get(&local), reader.written.contains(&local)) {
            (Some(step), _) => Some(*step),
            (None, written) => (!written).then_some(0),
        };
        let again_step = again.growth(step)?;
        let mut inner = Vec::new();
        for read in loops {
            inner.push(match read {
                Some(read) => Some(read.finish(step)?),
                None => None,
            });
        }
        let mut streams = Streams::default();
        for found in &reader.found {
            let delta = found.outer_place.growth(step)?;
            let sigma = match &inner[found.segment] {
                Some(inner) => found.place.stride(&inner.steps)?,
                None => 0,
            };
            streams.add(found, delta, sigma, &inner)?;
        }
        let (accesses, streams) = streams.finish(copies)?;
        Some(Self {
            segments: path.segments,
            conditions: path.conditions,
            accesses,
            streams,
            inner,
            written: reader.written,
            steps,
            again,
            again_step,
        })
    }
}

impl Read {
    /// None if the number of turns may differ between copies.
    fn finish(self, outer_step: impl Fn(u32) -> Option<u32>) -> Option<Inner> {
        if self.again.growth(&outer_step)? != 0 {
            return None;
        }
        let moves = |local: &u32| self.steps.get(local).is_none_or(Option::is_some);
        let shared = self.at_entry.iter().filter(|(local, _)| moves(local));
        let shared = shared.filter_map(|(&local, sum)| Some((local, sum.growth(&outer_step)?)));
        Some(Inner {
            shared: shared.collect(),
            again: self.again,
            step: self.step,
            steps: self.steps,
            live_in: self.live_in,
        })
    }
}

/// By how much those locals grow that a turn begins with and sets; none if not all do by a constant.
fn outer_steps(reader: &Reader, values: &mut Values) -> Option<BTreeMap<u32, u32>> {
    let carried = reader.live_in.intersection(&reader.written);
    let carried: BTreeSet<u32> = carried.copied().collect();
    let steps = values.steps(&carried);
    steps
        .into_iter()
        .map(|(local, step)| Some((local, step?)))
        .collect()
}
