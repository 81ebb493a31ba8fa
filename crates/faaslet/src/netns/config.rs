//! Names, addresses and rates: everything about a namespace that follows from its index.

use std::env;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use measure_core::base::label::LABEL;

use super::error::{NetnsError, RANGE_VARIABLE};

/// Environment variable that overrides [`Config::rate_bits_per_s`]; 0 leaves the shaping out.
pub const RATE_VARIABLE: &str = "FAASM_BENCH_NETNS_RATE";
/// What each direction is shaped to unless told otherwise: 1 Gbit/s.
pub const DEFAULT_RATE_BITS_PER_S: u64 = 1_000_000_000;
/// Indices below this one are for persistent namespaces, those from it on for anonymous ones.
pub const MAX_PERSISTENT: u32 = 4096;

const DEFAULT_RANGE: Range = Range {
    base: Ipv4Addr::new(10, 232, 0, 0),
    prefix_len: 15,
};
/// The host ends' interface indices start here, far above what the kernel hands out by itself, so that
/// a pair can be created and configured without asking for its index in between.
const HOST_IFINDEX_BASE: u32 = 0x0fb0_0000;
/// The inside end's interface index: beyond loopback and the fall-back tunnels that some kernels put into every
/// new namespace.
pub(super) const INSIDE_IFINDEX: u32 = 100;
/// The inside end's name.
pub(super) const INSIDE_NAME: &str = "eth0";

/// How namespaces are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the addresses come from; namespace `i` has the `i`-th pair (/31) of it.
    pub range: Range,
    /// What each direction of each pair is shaped to by tbf; 0 for no shaping at all.
    pub rate_bits_per_s: u64,
    /// What a namespace has a route to, by way of its host end; a default route if there is nothing here. [`super::Hub`] sets it.
    pub targets: Vec<Ipv4Addr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            range: DEFAULT_RANGE,
            rate_bits_per_s: DEFAULT_RATE_BITS_PER_S,
            targets: Vec::new(),
        }
    }
}

impl Config {
    /// The defaults, as overridden by [`RANGE_VARIABLE`] and [`RATE_VARIABLE`].
    ///
    /// # Errors
    /// A variable is set to what is no range or no rate.
    pub fn from_env() -> Result<Self, NetnsError> {
        let mut config = Self::default();
        if let Ok(text) = env::var(RANGE_VARIABLE) {
            config.range = text.parse()?;
        }
        if let Ok(text) = env::var(RATE_VARIABLE) {
            config.rate_bits_per_s = text.parse().map_err(|_| {
                NetnsError::Config(format!(
                    "{RATE_VARIABLE} is `{text}`, it must be bits per second, 0 for no shaping"
                ))
            })?;
        }
        Ok(config)
    }

    /// In words, for the records: device, addresses and shaping.
    #[must_use]
    pub fn describe(&self) -> String {
        let shaping = match self.rate_bits_per_s {
            0 => "not shaped".to_owned(),
            rate => format!("tbf {} Mbit/s each way", rate as f64 / 1e6),
        };
        format!("veth, {}, {shaping}", self.range)
    }
}

/// A range of IPv4 addresses in prefix notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    base: Ipv4Addr,
    prefix_len: u8,
}

impl Range {
    /// `base/prefix_len`, the bits of `base` beyond the prefix cleared.
    #[must_use]
    pub fn new(base: Ipv4Addr, prefix_len: u8) -> Self {
        let prefix_len = prefix_len.min(32);
        let mask = u32::MAX
            .checked_shl(32 - u32::from(prefix_len))
            .unwrap_or(0);
        Self {
            base: Ipv4Addr::from(u32::from(base) & mask),
            prefix_len,
        }
    }

    /// How many pairs of addresses it holds.
    #[must_use]
    pub fn pairs(&self) -> u32 {
        1u32.checked_shl(31 - u32::from(self.prefix_len.min(31)))
            .unwrap_or(0)
            .saturating_sub(u32::from(self.prefix_len > 31))
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = self.prefix_len.min(other.prefix_len);
        Self::new(self.base, shorter).base == Self::new(other.base, shorter).base
    }

    /// Whether all of `other` lies inside.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.prefix_len <= other.prefix_len && self.overlaps(other)
    }

    /// The host's and the inside address of pair `index`.
    pub(super) fn pair(&self, index: u32) -> (Ipv4Addr, Ipv4Addr) {
        let host = u32::from(self.base) + 2 * index;
        (Ipv4Addr::from(host), Ipv4Addr::from(host + 1))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_len)
    }
}

impl FromStr for Range {
    type Err = NetnsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            NetnsError::Config(format!(
                "`{text}` is no IPv4 range of /8 to /20, for example 10.96.0.0/15"
            ))
        };
        let (base, prefix_len) = text.split_once('/').ok_or_else(wrong)?;
        let base = base.parse().map_err(|_| wrong())?;
        let prefix_len = prefix_len.parse().map_err(|_| wrong())?;
        if !(8..=20).contains(&prefix_len) {
            return Err(wrong());
        }
        Ok(Self::new(base, prefix_len))
    }
}

/// Name of persistent namespace `index`, as `ip netns list` shows it.
#[must_use]
pub fn persistent_name(index: u32) -> String {
    format!("{LABEL}-{index}")
}

/// Index of the persistent namespace `name`, if it is one of ours.
#[must_use]
pub fn persistent_index(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(LABEL)?.strip_prefix('-')?;
    let index = digits.parse().ok().filter(|&i| i < MAX_PERSISTENT)?;
    // Only the one spelling that `persistent_name` has: `faasm-bench-007` is somebody else's.
    (persistent_name(index) == name).then_some(index)
}

/// The mark of persistent namespace `index`. It holds what the namespace was made with, so that another
/// range or rate is noticed.
pub(super) fn persistent_alias(index: u32, config: &Config) -> String {
    format!(
        "{} {} {}",
        persistent_name(index),
        config.range,
        config.rate_bits_per_s
    )
}

/// Name of the host end of pair `index`: at most 15 characters, as the kernel wants it.
#[must_use]
pub fn host_end_name(index: u32) -> String {
    format!("fbench{index}")
}

pub(super) fn host_ifindex(index: u32) -> u32 {
    HOST_IFINDEX_BASE + index
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_our_own_names_are_ours() {
        assert_eq!(persistent_index("faasm-bench-7"), Some(7));
        for foreign in [
            "faasm-bench-007",
            "faasm-bench-",
            "faasm-bench-+7",
            "faasm-bench-x",
            "faasm-bench.7",
            "faasm-bench-4096",
            "my-faasm-bench-7",
            "docker",
        ] {
            assert_eq!(persistent_index(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn pairs_lie_inside_the_range_and_never_overlap() {
        let range = Config::default().range;
        assert_eq!(range.pairs(), 65_536);
        let last = range.pair(range.pairs() - 1);
        assert_eq!(last.1, Ipv4Addr::new(10, 233, 255, 255));
        assert_eq!(
            range.pair(1),
            (Ipv4Addr::new(10, 232, 0, 2), Ipv4Addr::new(10, 232, 0, 3))
        );
        assert!(range.contains(&Range::new(last.0, 31)));
        assert!(host_end_name(range.pairs()).len() <= 15);
    }

    #[test]
    fn overlap_is_seen_both_ways() {
        let ours = Config::default().range;
        let wide: Range = "10.0.0.0/8".parse().expect("a range");
        let beside: Range = "10.234.0.0/16".parse().expect("a range");
        assert!(ours.overlaps(&wide) && wide.overlaps(&ours));
        assert!(wide.contains(&ours) && !ours.contains(&wide));
        assert!(!ours.overlaps(&beside) && !beside.overlaps(&ours));
    }

    proptest! {
        #[test]
        fn ranges_survive_printing(base in any::<u32>(), prefix_len in 8u8..=20) {
            let range = Range::new(Ipv4Addr::from(base), prefix_len);
            prop_assert_eq!(range.to_string().parse::<Range>().expect("a range"), range);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Range>();
            let _ = persistent_index(&text);
        }
    }
}
