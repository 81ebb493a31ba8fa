//! Vectors that one turn of a loop loads and the next one needs again are carried over in a local.
//!
//! A stencil reads `A[j-1]`, `A[j]` and `A[j+1]`. As vectors of two these overlap: of the three loads only one
//! reads something new, the others are what the last turn loaded or, by a shuffle, the end of that and the
//! beginning of this. A C compiler leaves the loads, for a store to another array might change what was
//! loaded. Where the addresses of a loop advance by the same constant, the distance between two of them is
//! always what it is when the loop begins, so one comparison there settles the question: the loop is kept
//! in both forms, and the old one runs if a store does come near.
//!
//! Nothing of it can be observed. The first turn runs as it was, so the addresses at hand lie inside the memory;
//! a later turn accesses all it did, except what was accessed already and not stored to since.

mod write;

use wasmparser::{MemArg, Operator};

use crate::body::Body;
use crate::operators::{computes, locals_set_by};
use crate::stack::{self, Top};
use crate::sum::{Steps, Sum, Values, access};
use crate::unroll::{innermost, only_test};

const VECTOR_BYTES: u32 = 16;
/// The longest stride, in vectors.
const MOST_VECTORS: u32 = 4;
/// How far a load may be brought forward to an earlier address.
const NEAR_BYTES: u32 = 1 << 12;

/// Lets loops carry what they can; returns how many loads are no more made.
pub(crate) fn carry(body: &mut Body<'_>) -> usize {
    let old = std::mem::take(&mut body.ops);
    let mut new = Vec::with_capacity(old.len() * 2);
    let mut saved = 0;
    let mut at = 0;
    while at < old.len() {
        let carried = innermost(&old, at).and_then(|end| {
            let inside = &old[at + 1..end];
            let test = only_test(inside)?;
            let plan = Plan::of_turn(&inside[..test])?;
            saved += plan.write(body, &mut new, inside, test);
            Some(end + 1)
        });
        if let Some(next) = carried {
            at = next;
        } else {
            new.push(old[at].clone());
            at += 1;
        }
    }
    body.ops = new;
    saved
}

/// An access of one turn.
struct Access {
    at: usize,
    memarg: MemArg,
    /// The address operand.
    base: Sum,
    /// Where it reads or writes: the operand and the offset.
    place: Sum,
}

/// A turn, from its beginning to its test.
struct Turn {
    vectors: Vec<Access>,
    stores: Vec<Access>,
    steps: Steps,
}

impl Turn {
    /// None if it does something else than compute, load and store.
    fn of_operators(ops: &[Operator<'_>]) -> Option<Self> {
        let mut values = Values::at_entry();
        let mut top: Top<Sum> = Top::new();
        let (mut vectors, mut stores) = (Vec::new(), Vec::new());
        for (at, op) in ops.iter().enumerate() {
            let (takes, leaves) = stack::effect(op)?;
            if let Some((memarg, above)) = access(op) {
                let base = top.peek(above)?.clone();
                let mut place = base.clone();
                place.constant = place
                    .constant
                    .wrapping_add(u32::try_from(memarg.offset).ok()?);
                let access = Access {
                    at,
                    memarg,
                    base,
                    place,
                };
                if above == 1 {
                    stores.push(access);
                } else if matches!(op, Operator::V128Load { .. }) {
                    vectors.push(access);
                }
            } else if !computes(op, leaves) {
                return None;
            }
            let operands = top.take(takes).collect();
            let mut sum = Some(values.evaluate(op, operands));
            for _ in 0..leaves {
                top.push(sum.take().unwrap_or_else(|| values.unknown()));
            }
        }
        Some(Self {
            vectors,
            stores,
            steps: values.steps(&locals_set_by(ops)),
        })
    }
}

/// Vectors whose places differ by constants.
struct Group {
    stride: u32,
    /// The vector that is new in each turn, the ones below it in steps of a vector: indices into the
    /// turn's vectors, and the constants of their places.
    leaders: Vec<usize>,
    /// Other loads and the byte in which they begin, counted from what the last turn's newest vector holds.
    derived: Vec<(usize, u32)>,
}

impl Group {
    /// The vectors that the bytes from `byte` on lie in: the newest one of the last turn (none), else a
    /// position in `leaders`; the second where they do not begin with a vector.
    fn sources(&self, byte: u32) -> (Option<usize>, Option<usize>) {
        let leader = |slot: u32| {
            self.leaders
                .len()
                .checked_sub(slot as usize)
                .filter(|_| slot > 0)
        };
        let slot = byte / VECTOR_BYTES;
        let second = !byte.is_multiple_of(VECTOR_BYTES);
        (leader(slot), second.then(|| leader(slot + 1)).flatten())
    }

    /// Where leader `n` is needed first.
    fn needed_at(&self, vectors: &[Access], n: usize) -> usize {
        let users = self.derived.iter().filter(|&&(_, byte)| {
            let (first, second) = self.sources(byte);
            first == Some(n) || second == Some(n)
        });
        let users = users.map(|&(i, _)| vectors[i].at);
        users.fold(vectors[self.leaders[n]].at, usize::min)
    }
}

/// What is to be done to a loop.
struct Plan {
    turn: Turn,
    groups: Vec<Group>,
    /// Sums that must lie in `least..=most`, where the loop begins.
    checks: Vec<(Sum, u32, u32)>,
}

impl Plan {
    /// None if there is nothing to be gained.
    fn of_turn(ops: &[Operator<'_>]) -> Option<Self> {
        let turn = Turn::of_operators(ops)?;
        let mut plan = Self {
            groups: Vec::new(),
            checks: Vec::new(),
            turn,
        };
        let mut seen: Vec<usize> = Vec::new();
        for first in 0..plan.turn.vectors.len() {
            let alike = |i: &usize| {
                plan.turn.vectors[*i].place.terms == plan.turn.vectors[first].place.terms
            };
            if seen.iter().any(alike) {
                continue;
            }
            seen.push(first);
            let members: Vec<usize> = (first..plan.turn.vectors.len()).filter(alike).collect();
            for members in plan.turn.neighbours(members) {
                if let Some(group) = plan.turn.group(&members)
                    && let Some(checks) = plan.turn.checks(&group)
                {
                    plan.groups.push(group);
                    plan.checks.extend(checks);
                }
            }
        }
        (!plan.groups.is_empty()).then_some(plan)
    }
}

impl Turn {
    /// `members`, whose places differ by constants, apart where there is a gap between them.
    fn neighbours(&self, mut members: Vec<usize>) -> Vec<Vec<usize>> {
        let constant = |i: usize| self.vectors[i].place.constant;
        let origin = constant(members[0]);
        members.sort_by_key(|&i| (constant(i).wrapping_sub(origin).cast_signed(), i));
        let near = |a: &usize, b: &usize| constant(*b).wrapping_sub(constant(*a)) <= VECTOR_BYTES;
        members.chunk_by(near).map(<[usize]>::to_vec).collect()
    }

    /// A group of `members`, which are sorted by their places; none if nothing can be carried.
    fn group(&self, members: &[usize]) -> Option<Group> {
        let place = |i: usize| &self.vectors[i].place;
        let stride = place(members[0]).stride(&self.steps)?;
        if stride == 0 || stride % VECTOR_BYTES != 0 || stride / VECTOR_BYTES > MOST_VECTORS {
            return None;
        }
        let newest = *members.last()?;
        // How far below the newest vector another begins.
        let below = |i: usize| place(newest).constant.wrapping_sub(place(i).constant);
        let leaders = (0..stride / VECTOR_BYTES)
            .map(|n| {
                members
                    .iter()
                    .copied()
                    .find(|&i| below(i) == n * VECTOR_BYTES)
            })
            .collect::<Option<Vec<usize>>>()?;
        let derived: Vec<(usize, u32)> = members
            .iter()
            .filter(|i| !leaders.contains(i) && below(**i) <= stride)
            .map(|&i| (i, stride - below(i)))
            .collect();
        let group = Group {
            stride,
            leaders,
            derived,
        };
        (!group.derived.is_empty() && self.can_bring_forward(&group)).then_some(group)
    }

    /// Whether each leader may be loaded where it is needed first: past no store, and from an address that is
    /// a little more than the one at hand there. That one is inside the memory, if the program goes on, and
    /// the memory ends well below 4 GiB: the sum does not wrap.
    fn can_bring_forward(&self, group: &Group) -> bool {
        (0..group.leaders.len()).all(|n| {
            let leader = &self.vectors[group.leaders[n]];
            let needed_at = group.needed_at(&self.vectors, n);
            let Some(user) = self.vectors.iter().find(|access| access.at == needed_at) else {
                return false;
            };
            let between = needed_at..leader.at;
            !self.stores.iter().any(|store| between.contains(&store.at))
                && leader.base.constant.wrapping_sub(user.base.constant) < NEAR_BYTES
                && leader.memarg.offset < u64::from(NEAR_BYTES)
        })
    }

    /// What must hold at the beginning so that no store comes near `group`; none if one does, or it is not known.
    fn checks(&self, group: &Group) -> Option<Vec<(Sum, u32, u32)>> {
        let newest = &self.vectors[group.leaders[0]].place;
        let mut checks = Vec::new();
        for store in &self.stores {
            // From the oldest byte that is kept to the store.
            let mut distance = store.place.clone().minus(newest);
            distance.constant = distance.constant.wrapping_add(group.stride);
            if distance.stride(&self.steps) != Some(0) {
                return None;
            }
            let (least, most) = (group.stride + VECTOR_BYTES, u32::MAX - VECTOR_BYTES + 1);
            if !distance.terms.is_empty() {
                checks.push((distance, least, most));
            } else if !(least..=most).contains(&distance.constant) {
                return None;
            }
        }
        Some(checks)
    }
}
