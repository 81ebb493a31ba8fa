//! Function ids and the message for a name that does not exist.

use std::fmt;
use std::str::FromStr;

/// `user/function`, for example `demo/noop`. Both parts are of letters, digits, `_`, `-` and `.`, do
/// not begin with a dot, and are at most 64 bytes long, so an id is safe as a path below the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId {
    user: String,
    function: String,
}

/// Why a text is no function id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionIdError {
    /// Not of the form `user/function`.
    #[error("function `{0}` is not of the form user/function, for example demo/noop")]
    Form(String),
    /// A part with a character or length that is not allowed.
    #[error(
        "`{part}` in function `{id}` is not a name: 1 to 64 of A-Z a-z 0-9 _ - . not beginning with a dot"
    )]
    Part {
        /// The text that was to be an id.
        id: String,
        /// The part of it that is wrong.
        part: String,
    },
}

const MAX_PART_BYTES: usize = 64;

fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= MAX_PART_BYTES
        && !part.starts_with('.')
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

impl FunctionId {
    /// The id of `function` of `user`.
    ///
    /// # Errors
    /// A part that is not a name.
    pub fn new(user: &str, function: &str) -> Result<Self, FunctionIdError> {
        for part in [user, function] {
            if !is_name(part) {
                return Err(FunctionIdError::Part {
                    id: format!("{user}/{function}"),
                    part: part.to_owned(),
                });
            }
        }
        Ok(Self {
            user: user.to_owned(),
            function: function.to_owned(),
        })
    }

    /// The part before the slash.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The part after the slash.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.function
    }
}

impl fmt::Display for FunctionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user, self.function)
    }
}

impl FromStr for FunctionId {
    type Err = FunctionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (user, function) = text
            .split_once('/')
            .ok_or_else(|| FunctionIdError::Form(text.to_owned()))?;
        Self::new(user, function)
    }
}

/// Whether `id` may name a row or a column: 1 to 40 of `a-z`, `0-9` and `-`, a letter first.
#[must_use]
pub fn is_row_id(id: &str) -> bool {
    let plain = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=40).contains(&id.len())
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id.bytes().all(plain)
}

/// The one of `known` that `given` was most likely meant to be, if any is near enough.
#[must_use]
pub fn nearest<'a>(given: &str, known: &'a [String]) -> Option<&'a str> {
    let distances = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name));
    let (distance, name) = distances.min()?;
    (distance <= 1 + name.len() / 3).then_some(name)
}

/// Up to so many names are all listed; of more the nearest tell more than all.
const LISTED: usize = 12;
/// How many names are suggested where not all are listed.
const SUGGESTED: usize = 3;

/// Those of `known` that are nearest to `given`, nearest first: names that it begins, then by what it takes to turn one into
/// the other.
fn nearest_first<'a>(given: &str, known: &'a [String]) -> Vec<&'a str> {
    let begins = |name: &str| given.len() > 2 && name.starts_with(given);
    let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
    names.sort_by_key(|name| (!begins(name), strsim::damerau_levenshtein(given, name)));
    names
}

/// The message for an unknown name: what was given, the nearest that exists, and all that exist, or where these are many
/// the nearest three.
#[must_use]
pub fn unknown(kind: &str, given: &str, known: &[String]) -> String {
    if known.is_empty() {
        return format!("unknown {kind} `{given}`: there is none");
    }
    let begins = |name: &&String| given.len() > 2 && name.starts_with(given);
    let meant = nearest(given, known).or_else(|| known.iter().find(begins).map(String::as_str));
    let meant = meant.map_or(String::new(), |name| format!(", did you mean `{name}`?"));
    let named = if known.len() <= LISTED {
        format!("there are: {}", known.join(", "))
    } else {
        let nearest = nearest_first(given, known);
        format!(
            "the nearest of {}: {}",
            known.len(),
            nearest[..SUGGESTED].join(", ")
        )
    };
    format!("unknown {kind} `{given}`{meant} ({named})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_no_ids() {
        for bad in [
            "", "noop", "/", "a/", "/b", "../x", "a/..", "a/b/c", "a/.b", "a b/c", "a/b\0",
        ] {
            assert!(bad.parse::<FunctionId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = [
            "wasm".to_owned(),
            "faaslet".to_owned(),
            "docker-none".to_owned(),
        ];
        let message = unknown("rung", "faslet", &known);
        assert!(message.contains("did you mean `faaslet`?"), "{message}");
        assert!(message.contains("docker-none"));
        let message = unknown("rung", "dock", &known);
        assert!(message.contains("did you mean `docker-none`?"), "{message}");
        assert!(!unknown("rung", "zzzzzzzz", &known).contains("did you mean"));
    }

    #[test]
    fn of_many_names_the_nearest_three_are_named() {
        let many: Vec<String> = (0..60)
            .map(|number| format!("kernel-{number}"))
            .chain(["gemm", "gemver", "symm"].map(str::to_owned))
            .collect();
        let message = unknown("kernel", "gemn", &many);
        assert_eq!(
            message,
            "unknown kernel `gemn`, did you mean `gemm`? (the nearest of 63: gemm, gemver, symm)"
        );
        // What it begins comes first, however much longer that is.
        let message = unknown("kernel", "gemv", &many);
        assert!(
            message.contains("the nearest of 63: gemver, gemm"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn ids_survive_printing(user in "[A-Za-z0-9_-]{1,64}", function in "[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}") {
            let id = FunctionId::new(&user, &function).expect("a name");
            prop_assert_eq!(id.to_string().parse::<FunctionId>().expect("an id"), id);
        }

        #[test]
        fn no_text_panics_and_what_parses_is_one_path_below(text in "\\PC{0,80}") {
            if let Ok(id) = text.parse::<FunctionId>() {
                let path = std::path::PathBuf::from(id.to_string());
                prop_assert_eq!(path.components().count(), 2);
                prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            }
        }
    }
}
