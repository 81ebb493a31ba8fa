//! What moves a program's data in memory though it is none of its business: where the kernel places things, the size
//! of the environment, the seed of string hashes. One draw of it may favour a side by more than what is to be
//! measured (Mytkowicz et al., ASPLOS 2009), so each replicate has a draw of its own, the same on both sides.

use std::fs;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stats::schedule::SplitMix64;

/// The variable that makes the environment larger, and is read by nobody.
pub const PADDING_VARIABLE: &str = "FAASM_BENCH_PADDING";
/// A page: beyond it the same places come again.
const MAX_PADDING_BYTES: u64 = 4096;

/// One draw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layout {
    /// Length of the value of [`PADDING_VARIABLE`]; without the variable where it is 0.
    pub padding_bytes: u32,
    /// For programs that hash strings with a secret.
    pub hash_seed: u32,
}

impl Layout {
    /// The draw of replicate `replicate` (from 0) by the seed of a benchmark's order.
    #[must_use]
    pub fn draw(seed: u64, replicate: u32) -> Self {
        // Of neighbours, which the seeds of benchmarks are, nothing is left after two rounds.
        let mut random = SplitMix64::new(SplitMix64::new(seed).next_u64() ^ u64::from(replicate));
        let padding = random.next_u64() % (MAX_PADDING_BYTES + 1);
        Self {
            padding_bytes: u32::try_from(padding).unwrap_or_default(),
            hash_seed: (random.next_u64() >> 32) as u32,
        }
    }

    /// The variables that a program of this layout has besides its own; `hash_variable` names the one that it takes the
    /// seed of hashes from.
    #[must_use]
    pub fn variables(&self, hash_variable: Option<&str>) -> Vec<(String, String)> {
        let hash = hash_variable.map(|name| (name.to_owned(), self.hash_seed.to_string()));
        let padding = (self.padding_bytes > 0).then(|| {
            let value = "x".repeat(self.padding_bytes as usize);
            (PADDING_VARIABLE.to_owned(), value)
        });
        hash.into_iter().chain(padding).collect()
    }
}

/// Why the kernel places every process alike, if it does: then the runs are one draw of that.
#[must_use]
pub fn not_randomised() -> Option<&'static str> {
    let setting = fs::read_to_string("/proc/sys/kernel/randomize_va_space").unwrap_or_default();
    if setting.trim() == "0" {
        return Some(
            "kernel.randomize_va_space is 0, `sysctl kernel.randomize_va_space=2` mends it",
        );
    }
    let own = nix::sys::personality::get().unwrap_or(nix::sys::personality::Persona::empty());
    own.contains(nix::sys::personality::Persona::ADDR_NO_RANDOMIZE)
        .then_some("this process was started with it switched off (setarch -R, a debugger)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_draws_and_they_differ() {
        let draws: Vec<Layout> = (0..100).map(|i| Layout::draw(7, i)).collect();
        assert_eq!(draws[5], Layout::draw(7, 5));
        assert!(draws.iter().all(|d| d.padding_bytes <= 4096));
        let mean = draws
            .iter()
            .map(|d| u64::from(d.padding_bytes))
            .sum::<u64>()
            / 100;
        assert!((1500..2600).contains(&mean), "{mean}");
        for other in [Layout::draw(8, 5), Layout::draw(8, 4), draws[6]] {
            assert_ne!(draws[5], other);
        }
    }

    #[test]
    fn variables_are_those_that_differ() {
        let layout = Layout {
            padding_bytes: 3,
            hash_seed: 9,
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            layout.variables(Some("SEED")),
            [pair("SEED", "9"), pair(PADDING_VARIABLE, "xxx")]
        );
        assert_eq!(Layout::default().variables(None), []);
    }
}
