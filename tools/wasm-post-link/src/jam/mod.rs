//! Several turns of a loop around innermost ones are made at once.
//!
//! A C compiler that cannot tell arrays apart leaves `C[i][j] += A[i][k] * B[k][j]` in the order in which it was written: with `j`
//! innermost each vector of `C` is loaded and stored for each `k`; with `k` innermost each addition waits for the one before.
//! Made for four `k`, or four `j`, at once, `C` is loaded and stored once for four additions, or four sums grow side by side. Each
//! sum is added up in its old order, so the results are the same bits.
//!
//! Whether that may be done is seen when the loop runs, each time it is about to be done ([`guard`]): if not, the turn is made as
//! it was. Turns that are the same but for the way they take ([`path`]) are made at once on the ways with the widest loops.

mod guard;
mod inner;
mod lanes;
mod nest;
mod path;
mod replace;
mod stream;
mod write;

use wasmparser::{BlockType, Operator};

use crate::body::Body;
use crate::operators::locals_set_by;
use crate::unroll::{copy_nested, moved};
use guard::write_guard;
use lanes::is_paired;
use nest::Nest;
use path::{Path, Segment, outer_loop, paths};
use write::Copies;

/// The most ways of one loop that are made at once.
const MOST_WAYS: usize = 2;
/// The most turns that are made at once, whatever is asked for, and the most operators of a turn.
const MOST_COPIES: usize = 16;
const MOST_OPERATORS: usize = 800;

/// Has up to `copies` turns of outer loops made at once; returns how many loops.
pub(crate) fn jam(body: &mut Body<'_>, copies: usize) -> usize {
    let copies = copies.min(MOST_COPIES);
    let old = std::mem::take(&mut body.ops);
    let mut new = Vec::with_capacity(old.len() * 2);
    let mut loops = 0;
    let mut at = 0;
    while at < old.len() {
        let short = |(test, _): &(usize, usize)| test - at <= MOST_OPERATORS;
        let end = outer_loop(&old, at).filter(short).and_then(|(test, end)| {
            let ways = ways(&old[at + 1..test], copies, body);
            write(&old[at + 1..end], test - at - 1, &ways, &mut new)?;
            Some(end)
        });
        if let Some(end) = end {
            loops += 1;
            at = end + 1;
        } else {
            new.push(old[at].clone());
            at += 1;
        }
    }
    body.ops = new;
    loops
}

/// Operators that leave their block unless a way may be taken, and go that way for several turns.
fn ways<'a>(turn: &[Operator<'a>], copies: usize, body: &mut Body<'a>) -> Vec<Vec<Operator<'a>>> {
    let written = locals_set_by(turn);
    let mut paths = paths(turn, &|local| written.contains(&local));
    paths.sort_by_key(|path| std::cmp::Reverse(vectors(path)));
    let widest = paths.first().is_some_and(|path| vectors(path) > 0);
    let (mut ways, mut taken) = (Vec::new(), 0);
    for path in paths {
        if taken == MOST_WAYS || (widest && vectors(&path) == 0) {
            break;
        }
        let found = way(&path, copies, body);
        taken += usize::from(!found.is_empty());
        ways.extend(found);
    }
    ways
}

/// How many vectors the inner loops of `path` load and store.
fn vectors(path: &Path<'_>) -> usize {
    let in_loops = path.segments.iter().map(|segment| match segment {
        Segment::Loop(ops) => ops.iter().filter(|op| is_vector(op)).count(),
        Segment::Straight(_) => 0,
    });
    in_loops.sum()
}

fn is_vector(op: &Operator<'_>) -> bool {
    matches!(op, Operator::V128Load { .. } | Operator::V128Store { .. })
}

/// See [`ways`]; with as many turns at once as can be, up to `copies`. Where two of them go into a vector, twice as many, and then
/// ways for the fewer ones that are left.
fn way<'a>(path: &Path<'a>, copies: usize, body: &mut Body<'a>) -> Vec<Vec<Operator<'a>>> {
    let most = u32::try_from(copies).unwrap_or(1);
    let mut counts = vec![2 * most, most, 2];
    counts.dedup();
    let mut found = Vec::new();
    for count in counts {
        let nest = (count > 1)
            .then(|| Nest::of_path(path.clone(), count))
            .flatten();
        let Some(nest) = nest.filter(Nest::gains) else {
            continue;
        };
        let pairs = count > 1 && is_paired(&nest, body);
        if (count > most || !found.is_empty()) && !pairs {
            continue;
        }
        let mut out = Vec::new();
        if write_guard(&nest, count, body, &mut out).is_none() {
            continue;
        }
        Copies::of_nest(&nest, count, body).write(body, &mut out);
        let again = Operator::BrIf { relative_depth: 1 };
        out.extend([again, Operator::Br { relative_depth: 2 }]);
        found.push(out);
        if !pairs {
            break;
        }
    }
    found
}

/// `block loop block WAY end B br_if 0 end end T`, where T followed the test inside the loop; none if there is no way.
fn write<'a>(
    inside: &[Operator<'a>],
    test: usize,
    ways: &[Vec<Operator<'a>>],
    new: &mut Vec<Operator<'a>>,
) -> Option<()> {
    if ways.is_empty() {
        return None;
    }
    let blockty = BlockType::Empty;
    let block = || Operator::Block { blockty };
    new.extend([block(), Operator::Loop { blockty }]);
    for way in ways {
        new.push(block());
        new.extend(way.iter().cloned());
        new.push(Operator::End);
    }
    copy_nested(new, &inside[..test], 1);
    new.push(Operator::BrIf { relative_depth: 0 });
    new.extend([Operator::End, Operator::End]);
    new.extend(inside[test + 1..].iter().map(|op| moved(op, 0, -1)));
    Some(())
}
