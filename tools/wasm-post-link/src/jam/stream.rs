//! Accesses that move together.

use super::inner::Inner;
use crate::sum::Sum;

/// More than these are not worth their comparisons.
const MOST_STREAMS: usize = 10;
/// The longest stride, in bytes: a product with a number of turns, and a few sums of these, stay within 64 bits.
const MOST_STRIDE: u64 = 1 << 24;

/// A load or store.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) segment: usize,
    pub(crate) at: usize,
    /// Index of its stream, and where in this it lies, in bytes from the stream's base.
    pub(crate) stream: usize,
    pub(crate) constant: i64,
    pub(crate) width: i64,
    pub(crate) stores: bool,
    /// Its place by the locals at the beginning of its segment.
    pub(crate) place: Sum,
}

/// An access whose stream is not known yet.
pub(crate) struct Found {
    pub(crate) segment: usize,
    pub(crate) at: usize,
    pub(crate) width: i64,
    /// The operator's own part of the place.
    pub(crate) offset: i64,
    pub(crate) stores: bool,
    /// By the locals at the beginning of the segment, and at the beginning of the outer turn.
    pub(crate) place: Sum,
    pub(crate) outer_place: Sum,
}

/// Accesses whose places differ by constants wherever they are in their loops.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Where its first access lies when the outer turn begins.
    pub(crate) base: Sum,
    /// By how much it moves from outer to outer turn, and from inner to inner turn.
    pub(crate) delta: i64,
    pub(crate) sigma: i64,
    /// The inner loop by which it moves.
    pub(crate) segment: Option<usize>,
    /// The most turns that this may make after the first.
    turns: i64,
    /// From the lowest to beyond the highest byte of its accesses, counted from `base`.
    pub(crate) least: i64,
    pub(crate) most: i64,
    /// The lowest address to which an operator adds its offset.
    pub(crate) least_address: i64,
    pub(crate) stores: bool,
}

#[derive(Default)]
pub(crate) struct Streams {
    streams: Vec<Stream>,
    accesses: Vec<Access>,
}

fn signed(value: u32) -> i64 {
    value.cast_signed().into()
}

impl Streams {
    /// Puts `found` into its stream; none if there are too many of them, or it moves too far.
    pub(crate) fn add(
        &mut self,
        found: &Found,
        delta: u32,
        sigma: u32,
        inner: &[Option<Inner>],
    ) -> Option<()> {
        let (delta, sigma) = (signed(delta), signed(sigma));
        if delta.unsigned_abs().max(sigma.unsigned_abs()) > MOST_STRIDE {
            return None;
        }
        let moves = (sigma != 0).then_some(found.segment);
        let Sum { terms, constant } = &found.outer_place;
        let alike = |stream: &Stream| {
            stream.base.terms == *terms
                && (stream.delta, stream.sigma) == (delta, sigma)
                && same_turns(stream.segment, moves, inner)
        };
        let known = self.streams.iter().position(alike);
        if known.is_none() {
            if self.streams.len() == MOST_STREAMS {
                return None;
            }
            let known = moves.and_then(|segment| inner[segment].as_ref()?.known_turns());
            self.streams.push(Stream {
                base: found.outer_place.clone(),
                delta,
                sigma,
                segment: moves,
                turns: known.unwrap_or(1 << 32),
                least: 0,
                most: 0,
                least_address: 0,
                stores: false,
            });
        }
        let at = known.unwrap_or(self.streams.len() - 1);
        let stream = &mut self.streams[at];
        let constant = signed(constant.wrapping_sub(stream.base.constant));
        stream.least = stream.least.min(constant);
        stream.least_address = stream.least_address.min(constant - found.offset);
        stream.most = stream.most.max(constant + found.width);
        stream.stores |= found.stores;
        self.accesses.push(Access {
            segment: found.segment,
            at: found.at,
            stream: at,
            constant,
            width: found.width,
            stores: found.stores,
            place: found.place.clone(),
        });
        Some(())
    }

    /// None if `copies` turns at once would change the order of accesses to the same bytes of a stream.
    pub(crate) fn finish(self, copies: u32) -> Option<(Vec<Access>, Vec<Stream>)> {
        for (n, a) in self.accesses.iter().enumerate() {
            for b in &self.accesses[n..] {
                let stream = &self.streams[a.stream];
                if a.stream != b.stream || !(a.stores || b.stores) {
                    continue;
                }
                let meet = |p| stream.meet(a, b, p) || stream.meet(b, a, p);
                if (1..i64::from(copies)).any(meet) {
                    return None;
                }
            }
        }
        Some((self.accesses, self.streams))
    }
}

/// Whether two accesses that move by these loops do so equally often.
fn same_turns(a: Option<usize>, b: Option<usize>, inner: &[Option<Inner>]) -> bool {
    match (a, b) {
        (Some(a), Some(b)) if a != b => match (&inner[a], &inner[b]) {
            (Some(a), Some(b)) => a.again == b.again && a.step == b.step,
            _ => false,
        },
        (a, b) => a == b,
    }
}

impl Stream {
    /// Whether `a` in an outer turn and `b` in the one `p` later may access the same byte where `b` now comes first: in an
    /// earlier inner turn, or an earlier segment.
    fn meet(&self, a: &Access, b: &Access, p: i64) -> bool {
        let distance = b.constant - a.constant + p * self.delta;
        if self.sigma == 0 {
            return -b.width < distance && distance < a.width;
        }
        // `b` is `turns` inner turns earlier: they meet where low < turns * sigma < high.
        let sigma = self.sigma.abs();
        let (low, high) = if self.sigma > 0 {
            (distance - a.width, distance + b.width)
        } else {
            (-distance - b.width, -distance + a.width)
        };
        let earliest = if a.segment == b.segment {
            1
        } else {
            -self.turns
        };
        let turns = (low.div_euclid(sigma) + 1).max(earliest);
        turns <= self.turns && turns * sigma < high
    }
}
