//! The host while starts are made, not only before: each half of a round, the isolated turns and the closed loops, is watched.
//! Single blocks of fast rungs are over long before a counter has ticked.

use serde::{Deserialize, Serialize};

/// What the host did in the halves of all rounds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Watched {
    pub halves: u64,
    pub disturbed: u64,
    pub repeated: u64,
    /// What disturbed it first.
    pub first: Option<String>,
}

impl Watched {
    /// In a sentence, if there is something to say.
    pub fn in_words(&self) -> Option<String> {
        let Self {
            halves,
            disturbed,
            repeated,
            first,
        } = self;
        let first = first.as_ref()?;
        let again = match repeated {
            0 => String::new(),
            times => format!(
                ", {times} times that was made again, and what was disturbed does not count"
            ),
        };
        Some(format!(
            "the host was disturbed in {disturbed} of {halves} halves of rounds, first by this: {first}{again}"
        ))
    }
}
