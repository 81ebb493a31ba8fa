//! What a function answered: its standard output, its exit code, the files that it wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::exchange::Response;

pub use super::content::{Content, KEPT_BYTES, Taking};

/// So many requests a handler is asked when its answer is: one that fails at its third is found, and one that answers differently each time.
pub const REQUESTS: u64 = 3;

/// What one run of a function answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its exit code; none if it was killed, trapped or did not end in time.
    pub exit_code: Option<i32>,
    /// All that it wrote to its standard output.
    pub stdout: Content,
    /// Of a handler: its answers to [`REQUESTS`] requests, one after the other, of one instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<Response>,
    /// What lay in the directory that it may write to at its end, by path there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Content>,
    /// How it ended where that was not with exit code 0, with its last words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn answers_survive_a_line(stdout in prop::collection::vec(any::<u8>(), 0..40), exit_code in prop::option::of(0..256)) {
            let answer = Answer { exit_code, stdout: Content::of_bytes(&stdout), ..Answer::default() };
            let line = serde_json::to_string(&answer).expect("plain data");
            prop_assert_eq!(serde_json::from_str::<Answer>(&line).expect("its own"), answer);
        }
    }
}
