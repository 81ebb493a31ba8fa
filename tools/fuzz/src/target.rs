//! What is fuzzed: cases by their seed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use measure_core::base::ids;

/// How often what happened.
pub type Counts = BTreeMap<String, u64>;

/// Adds `n` to what is called `what`.
pub fn count(counts: &mut Counts, what: &str, n: u64) {
    match counts.get_mut(what) {
        Some(known) => *known += n,
        None => {
            counts.insert(what.to_owned(), n);
        }
    }
}

/// Before how they ended, of modules that were compared.
pub const COMPARED: &str = "compared: ";

/// What is wrong, in words.
pub type Finding = String;

/// Something that cases are made for.
pub trait Target {
    /// Makes the case of `seed` and tries it.
    ///
    /// # Errors
    /// What is wrong with what was tried.
    fn try_case(&mut self, seed: u64, counts: &mut Counts) -> Result<(), Finding>;
}

/// How a target is to be made.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Where what a case is made of is kept.
    pub keep: Option<PathBuf>,
    /// Every so many modules the second engine runs as well; 0: none.
    pub second_engine_every: u64,
    /// Starts of each module under deadlines.
    pub deadline_starts: u64,
}

/// The targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Random modules by all engines.
    Modules,
    /// Random calls of WASI by two implementations.
    Calls,
    /// Damaged files for their readers.
    Files,
    /// Damaged requests to the upload server.
    Requests,
    /// Cases that go wrong, for the tests of this tool.
    Broken,
}

impl Name {
    /// Those that are for users.
    const ALL: [Self; 4] = [Self::Modules, Self::Calls, Self::Files, Self::Requests];

    /// So many cases are tried in one process.
    #[must_use]
    pub fn cases_a_process(self) -> u64 {
        match self {
            Self::Modules => 100,
            Self::Calls => 200,
            Self::Files => 2000,
            Self::Requests => 500,
            Self::Broken => 8,
        }
    }

    /// What was counted of it, as the lab notes have it.
    #[must_use]
    pub fn in_words(self, counts: &Counts) -> String {
        let n = |what: &str| counts.get(what).copied().unwrap_or(0);
        let cases = n("cases");
        match self {
            Self::Modules => {
                let all = counts.iter();
                let compared: u64 = all
                    .filter(|(what, _)| what.starts_with(COMPARED))
                    .map(|(_, n)| n)
                    .sum();
                format!(
                    "{} modules, {compared} compared, {} by both engines, {} starts, {} of them ended by a deadline",
                    n("modules"),
                    n("second engine: modules"),
                    n("starts"),
                    n("ended by a deadline")
                )
            }
            Self::Calls => format!("{} calls in {cases} programs", n("calls")),
            Self::Files => format!("{cases} damaged files"),
            // Where there is no server, none is.
            Self::Requests => format!("{} damaged requests", cases - n("not tried").min(cases)),
            Self::Broken => format!("{cases} cases"),
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Calls => "calls",
            Self::Files => "files",
            Self::Requests => "requests",
            Self::Broken => "broken",
        }
    }
}

impl FromStr for Name {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter().chain([Self::Broken]);
        all.find(|name| name.word() == text).ok_or_else(|| {
            let words = Self::ALL.map(|name| name.word().to_owned());
            UnknownTarget(ids::unknown("target", text, &words))
        })
    }
}

/// A word that names no target; says the nearest that does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownTarget(String);
