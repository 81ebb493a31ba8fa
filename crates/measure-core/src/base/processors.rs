//! Sets of processors.

use nix::sched::CpuSet;

/// The numbers of those in `set`, ascending.
pub fn processors_in(set: &CpuSet) -> impl Iterator<Item = usize> {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false))
}
