//! What is known of a process's memory, and how several are added up.

use serde::{Deserialize, Serialize};

/// Memory of one process, or of several added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Proportional set size: each page divided by how many processes map it. The only one of the
    /// sums that counts a shared page once.
    pub pss_bytes: u64,
    /// Unique set size: pages that this process alone maps (`Private_Clean + Private_Dirty +
    /// Private_Hugetlb`).
    pub uss_bytes: u64,
    /// Resident set size: pages mapped; in a sum, shared pages count once per process.
    pub rss_bytes: u64,
    /// Pages swapped out; in a sum, shared ones count once per process.
    pub swap_bytes: u64,
    /// Pages swapped out, each divided by how many processes share it.
    pub swap_pss_bytes: u64,
}

impl Memory {
    fn each(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            pss_bytes: of(self.pss_bytes, other.pss_bytes),
            uss_bytes: of(self.uss_bytes, other.uss_bytes),
            rss_bytes: of(self.rss_bytes, other.rss_bytes),
            swap_bytes: of(self.swap_bytes, other.swap_bytes),
            swap_pss_bytes: of(self.swap_pss_bytes, other.swap_pss_bytes),
        }
    }

    pub(super) fn larger_of_each(self, other: Self) -> Self {
        self.each(other, u64::max)
    }
}

impl std::iter::Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| {
            sum.each(part, u64::saturating_add)
        })
    }
}
