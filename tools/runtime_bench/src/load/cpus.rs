//! A CPU for the generator alone, where there are more than two.

use measure_core::base::processors::processors_in;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// How the CPUs are shared while rungs are loaded; put back when dropped.
#[derive(Debug)]
pub(super) struct Shared {
    /// As it was, if it was changed.
    before: Option<CpuSet>,
    /// The generator's.
    own: Option<usize>,
    /// How many drivers have.
    left: usize,
}

/// From so many CPUs on the generator has one alone: of two it would take half of what is measured.
const ENOUGH: usize = 3;

impl Shared {
    /// Leaves the last CPU that this process may use to the generator, if there are enough; drivers started from here on use the others.
    pub fn take() -> Self {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok();
        let cpus: Vec<usize> = before.iter().flat_map(processors_in).collect();
        let alone = |own| Self {
            before: None,
            own,
            left: cpus.len().max(1),
        };
        let (Some((last, others)), true) = (cpus.split_last(), cpus.len() >= ENOUGH) else {
            return alone(None);
        };
        let mut set = CpuSet::new();
        let named = others.iter().try_for_each(|&cpu| set.set(cpu));
        if named.and_then(|()| sched_setaffinity(this, &set)).is_err() {
            return alone(None);
        }
        Self {
            before,
            own: Some(*last),
            left: others.len(),
        }
    }

    /// The generator's CPU, if it has one alone.
    pub fn own_cpu(&self) -> Option<usize> {
        self.own
    }

    /// How many CPUs drivers have.
    pub fn cpus(&self) -> usize {
        self.left
    }

    /// What the notes say of it.
    pub fn in_words(&self) -> Option<String> {
        self.own.map(|cpu| {
            format!(
                "the generator had CPU {cpu} alone, drivers the other {}",
                self.left
            )
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = sched_setaffinity(Pid::from_raw(0), before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_put_back() {
        let allowed = || -> Vec<usize> {
            processors_in(&sched_getaffinity(Pid::from_raw(0)).expect("affinity")).collect()
        };
        let before = allowed();
        let shared = Shared::take();
        match shared.own_cpu() {
            Some(own) => assert!(before.len() >= ENOUGH && !allowed().contains(&own)),
            None => assert!(before.len() < ENOUGH && shared.in_words().is_none()),
        }
        assert_eq!(shared.cpus(), allowed().len());
        drop(shared);
        assert_eq!(allowed(), before);
    }
}
