//! What is known of an inner loop.

use std::collections::{BTreeMap, BTreeSet};

use crate::sum::{Steps, Sum};

/// An inner loop.
#[derive(Debug)]
pub(crate) struct Inner {
    /// Not zero where the first turn is not the last, and by how much it changes from turn to turn.
    pub(crate) again: Sum,
    pub(crate) step: u32,
    /// Locals that are the same in all copies but for a multiple of a constant: this constant.
    pub(crate) shared: BTreeMap<u32, u32>,
    pub(crate) steps: Steps,
    /// Locals that a turn reads before it sets them.
    pub(crate) live_in: BTreeSet<u32>,
}

impl Inner {
    /// What is left to go after the first turn, in the direction of the step.
    pub(crate) fn left(&self) -> Sum {
        if self.step.cast_signed() > 0 {
            Sum::default().minus(&self.again)
        } else {
            self.again.clone()
        }
    }

    /// How often it goes round after its first turn, if that is always the same.
    pub(crate) fn known_turns(&self) -> Option<i64> {
        let (left, step) = (self.left(), self.step.cast_signed().unsigned_abs());
        let known = left.terms.is_empty() && step > 0 && left.constant.is_multiple_of(step);
        known.then(|| (left.constant / step).into())
    }
}
