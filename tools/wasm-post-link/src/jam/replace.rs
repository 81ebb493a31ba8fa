//! Which accesses of an inner turn that is made for several copies need not be made.

use wasmparser::Operator;

use super::lanes::{accesses_of, widened_access};
use super::nest::Nest;
use super::stream::Access;
use crate::sum::{access, accessed, like};

/// An access as one copy makes it.
#[derive(Clone, Copy)]
pub(crate) struct Made<'n> {
    pub(crate) access: &'n Access,
    /// Where in the stream, and how many bytes.
    pub(crate) constant: i64,
    pub(crate) width: i64,
    pub(crate) kind: Kind,
}

/// What a load makes of the bytes, or a store can be given to as.
pub(crate) type Kind = std::mem::Discriminant<Operator<'static>>;

/// What becomes of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Made,
    /// Another one of the same turn stores to the same place.
    Overwritten,
    /// Each turn stores to the same place that nothing in the loop reads: the last one is enough.
    Sunk,
}

impl<'n> Made<'n> {
    /// The accesses of a turn of the loop `segment`, in order, where `lanes` copies at a time are made side by side.
    pub(crate) fn turn(
        nest: &'n Nest<'_>,
        segment: usize,
        ops: &[Operator<'_>],
        copies: u32,
        lanes: u32,
    ) -> Vec<Self> {
        let strand = |n: u32| {
            accesses_of(nest, segment).map(move |access| {
                let delta = nest.streams[access.stream].delta;
                let op = &ops[access.at];
                let wide = (lanes > 1).then(|| widened_access(op, delta).0);
                let op = wide.as_ref().unwrap_or(op);
                Self {
                    access,
                    constant: access.constant + i64::from(n * lanes) * delta,
                    width: accessed(op).map_or(access.width, |(bytes, _)| bytes.into()),
                    kind: kind(op),
                }
            })
        };
        (0..copies / lanes).flat_map(strand).collect()
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.access.stream == other.access.stream
            && self.constant < other.constant + other.width
            && other.constant < self.constant + self.width
    }

    /// Whether it is the same place and the same kind of value.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.access.stream == other.access.stream
            && (self.constant, self.kind) == (other.constant, other.kind)
    }
}

/// What becomes of the store `turn[at]`; `sigma` is by how much it moves from turn to turn.
pub(crate) fn fate(turn: &[Made<'_>], at: usize, sigma: i64) -> Fate {
    let store = &turn[at];
    for later in turn[at + 1..].iter().filter(|later| later.overlaps(store)) {
        if !later.is_same(store) {
            return Fate::Made;
        }
        if later.access.stores {
            return Fate::Overwritten;
        }
    }
    // Loads after the first store to this place are given what it stored; one before would read what the last turn stored.
    let mut stored = false;
    for other in turn.iter().filter(|other| other.overlaps(store)) {
        stored |= other.access.stores;
        if !other.is_same(store) || !stored {
            return Fate::Made;
        }
    }
    if sigma == 0 { Fate::Sunk } else { Fate::Made }
}

/// The kind of a load, or of the load that reads what a store wrote.
fn kind(op: &Operator<'_>) -> Kind {
    let Some((memarg, _)) = access(op) else {
        return std::mem::discriminant(&Operator::Nop);
    };
    std::mem::discriminant(&match op {
        Operator::I32Store { .. } => Operator::I32Load { memarg },
        Operator::I64Store { .. } => Operator::I64Load { memarg },
        Operator::F32Store { .. } => Operator::F32Load { memarg },
        Operator::F64Store { .. } => Operator::F64Load { memarg },
        Operator::V128Store { .. } => Operator::V128Load { memarg },
        op => like(op, memarg),
    })
}
