//! The letters of the tables.

use measure_core::contract::Isolation;
use serde::{Deserialize, Serialize};

/// What a rung can isolate. `Hardware` is not among them: no probe tells from inside what guards an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Letter {
    /// Memory of others.
    Memory,
    /// A share of the CPU.
    Cpu,
    /// The host's network.
    Network,
    /// The host's files.
    Files,
    /// System calls.
    SystemCalls,
    /// Privileges.
    Privileges,
}

impl Letter {
    /// In the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::Memory,
        Self::Cpu,
        Self::Network,
        Self::Files,
        Self::SystemCalls,
        Self::Privileges,
    ];

    /// As the ladder has it.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Memory => 'M',
            Self::Cpu => 'C',
            Self::Network => 'N',
            Self::Files => 'F',
            Self::SystemCalls => 'S',
            Self::Privileges => 'P',
        }
    }

    /// What the entry says of it; empty if nothing.
    #[must_use]
    pub fn stated(self, isolation: &Isolation) -> &str {
        match self {
            Self::Memory => &isolation.memory,
            Self::Cpu => &isolation.cpu,
            Self::Network => &isolation.network,
            Self::Files => &isolation.files,
            Self::SystemCalls => &isolation.syscalls,
            Self::Privileges => &isolation.capabilities,
        }
    }

    /// Whether an entry claims it. Words that begin with `none:` say why it does not.
    #[must_use]
    pub fn is_stated(self, isolation: &Isolation) -> bool {
        let words = self.stated(isolation).to_ascii_lowercase();
        !(words.is_empty() || words == "none" || words.starts_with("none:"))
    }
}
