//! The loop that carries vectors over, in both its forms.

use wasmparser::{BlockType, MemArg, Operator, ValType};

use super::{Group, Plan, Turn, VECTOR_BYTES};
use crate::body::{Body, Edits};
use crate::operators::{local_get, local_set, local_tee};
use crate::sum::Sum;
use crate::unroll::moved;

impl Plan {
    /// Writes the loop in both forms; returns how many loads are saved.
    pub(super) fn write<'a>(
        &self,
        body: &mut Body<'a>,
        new: &mut Vec<Operator<'a>>,
        inside: &[Operator<'a>],
        test: usize,
    ) -> usize {
        let turn = &inside[..test];
        let (mut first, mut later) = (Edits::default(), Edits::default());
        let mut renew = Vec::new();
        for group in &self.groups {
            let last = body.local(ValType::V128);
            let newest = self.turn.vectors[group.leaders[0]].at;
            first.after(newest, vec![local_tee(last)]);
            let now = self.turn.derive(body, &mut later, group, last);
            renew.extend([local_get(now), local_set(last)]);
        }
        let blockty = BlockType::Empty;
        let block = || Operator::Block { blockty };
        let branch = |relative_depth| Operator::BrIf { relative_depth };
        new.extend([block(), block()]);
        for check in &self.checks {
            write_check(new, check);
            new.push(branch(0));
        }
        new.extend(first.applied_to(turn.to_vec()));
        new.extend([Operator::I32Eqz, branch(1), Operator::Loop { blockty }]);
        new.extend(later.applied_to(turn.to_vec()));
        new.extend(renew);
        new.extend([branch(0), Operator::End]);
        new.extend([Operator::Br { relative_depth: 1 }, Operator::End]);
        new.push(Operator::Loop { blockty });
        new.extend(turn.iter().cloned());
        new.extend([branch(0), Operator::End, Operator::End]);
        new.extend(inside[test + 1..].iter().map(|op| moved(op, 0, -1)));
        self.groups.iter().map(|group| group.derived.len()).sum()
    }
}

impl Turn {
    /// Has the loads of `group` made by its leaders alone, where `last` holds what the last turn loaded;
    /// returns the local that holds the newest vector.
    fn derive(&self, body: &mut Body<'_>, edits: &mut Edits<'_>, group: &Group, last: u32) -> u32 {
        let now: Vec<u32> = group
            .leaders
            .iter()
            .map(|_| body.local(ValType::V128))
            .collect();
        let get = |source: Option<usize>| local_get(source.map_or(last, |n| now[n]));
        for (n, &leader) in group.leaders.iter().enumerate() {
            let at = self.vectors[leader].at;
            if group.needed_at(&self.vectors, n) == at {
                edits.after(at, vec![local_tee(now[n])]);
            } else {
                edits.replace(at, vec![Operator::Drop, get(Some(n))]);
            }
        }
        for &(i, byte) in &group.derived {
            let user = &self.vectors[i];
            let early: Vec<usize> = (0..group.leaders.len())
                .filter(|&n| self.vectors[group.leaders[n]].at > user.at)
                .filter(|&n| group.needed_at(&self.vectors, n) == user.at)
                .collect();
            let mut ops = vec![Operator::Drop];
            if !early.is_empty() {
                let address = body.local(ValType::I32);
                ops = vec![local_set(address)];
                for n in early {
                    let leader = &self.vectors[group.leaders[n]];
                    let further = leader.base.constant.wrapping_sub(user.base.constant);
                    let memarg = MemArg {
                        offset: leader.memarg.offset + u64::from(further),
                        ..leader.memarg
                    };
                    let load = Operator::V128Load { memarg };
                    ops.extend([local_get(address), load, local_set(now[n])]);
                }
            }
            let (first, second) = group.sources(byte);
            ops.push(get(first));
            if second.is_some() {
                let lanes = std::array::from_fn(|lane| (byte % VECTOR_BYTES) as u8 + lane as u8);
                ops.extend([get(second), Operator::I8x16Shuffle { lanes }]);
            }
            edits.replace(user.at, ops);
        }
        now[0]
    }
}

/// Leaves 1 where the sum does not lie in `least..=most`.
fn write_check(new: &mut Vec<Operator<'_>>, (sum, least, most): &(Sum, u32, u32)) {
    let constant = |value: u32| Operator::I32Const {
        value: value.cast_signed(),
    };
    new.push(constant(sum.constant.wrapping_sub(*least)));
    for &(local, factor) in &sum.terms {
        new.extend([
            local_get(local),
            constant(factor),
            Operator::I32Mul,
            Operator::I32Add,
        ]);
    }
    new.extend([constant(most - least), Operator::I32GtU]);
}
