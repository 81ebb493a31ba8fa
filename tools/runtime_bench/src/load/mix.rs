//! Several functions on one time line: a mix by weights, or a trace.

use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::files::read_given;
use measure_core::base::ids::{FunctionId, FunctionIdError};
use serde::Deserialize;
use stats::schedule::SplitMix64;

use super::pattern::{Pattern, draw};
use super::trace::{Script, TraceError};

/// What a mix file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// At least one, each once.
    functions: Vec<Share>,
}

/// A function of a mix.
#[derive(Debug, Clone, PartialEq)]
struct Share {
    function: FunctionId,
    /// Of all arrivals, as the sum of all weights is to this.
    weight: f64,
    /// Workers that are there at the beginning, for what keeping them saves.
    parked: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    function: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default = "one")]
    weight: f64,
    #[serde(default)]
    parked: usize,
}

fn one() -> f64 {
    1.0
}

/// What is wrong with a mix or a trace.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The mix cannot be read.
    #[error("cannot read the mix {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// No TOML of the form of a mix.
    #[error("{}: {source}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the line.
        source: toml::de::Error,
    },
    /// Of a function of the mix.
    #[error("{}: {source}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong with its name.
        source: FunctionIdError,
    },
    /// It makes no sense.
    #[error("{}: {why}", path.display())]
    Sense {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in words.
        why: String,
    },
    /// Of a trace.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl Mix {
    /// Reads the mix at `path`.
    ///
    /// # Errors
    /// It cannot be read, or makes no sense.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let path = path.to_owned();
        let text = match read_given(&path) {
            Ok(text) => text,
            Err(source) => return Err(ScriptError::Read { path, source }),
        };
        let file: File = match toml::from_str(&text) {
            Ok(file) => file,
            Err(source) => return Err(ScriptError::Toml { path, source }),
        };
        let mut functions: Vec<Share> = Vec::new();
        for entry in file.function {
            let function: FunctionId = match entry.name.parse() {
                Ok(function) => function,
                Err(source) => return Err(ScriptError::Name { path, source }),
            };
            // Not a comparison with 0 alone: NaN is no weight either.
            if !(entry.weight.is_finite() && entry.weight > 0.0) {
                let why = format!(
                    "weight of {function} is {}, it must be above 0",
                    entry.weight
                );
                return Err(ScriptError::Sense { path, why });
            }
            if functions.iter().any(|known| known.function == function) {
                let why = format!("{function} is there twice");
                return Err(ScriptError::Sense { path, why });
            }
            functions.push(Share {
                function,
                weight: entry.weight,
                parked: entry.parked,
            });
        }
        if functions.is_empty() {
            let why = "no [[function]] in it".to_owned();
            return Err(ScriptError::Sense { path, why });
        }
        Ok(Self { functions })
    }

    /// Arrivals of `per_s` a second in all, each of a function drawn by its weight.
    #[must_use]
    pub fn script(&self, pattern: Pattern, per_s: f64, duration_ns: u64, seed: u64) -> Script {
        let mut random = SplitMix64::new(seed.wrapping_add(1));
        let all: f64 = self.functions.iter().map(|share| share.weight).sum();
        let mut drawn = || {
            // 53 bits, as many as a number holds.
            let mut left = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 * all;
            let found = self.functions.iter().position(|share| {
                left -= share.weight;
                left < 0.0
            });
            found.unwrap_or(self.functions.len() - 1)
        };
        let offsets = draw(pattern, per_s, duration_ns, seed);
        Script {
            functions: self.functions.iter().map(|s| s.function.clone()).collect(),
            arrivals: offsets.into_iter().map(|at| (at, drawn())).collect(),
            duration_ns,
        }
    }

    /// What each function gets of `per_s` arrivals a second, on average.
    #[must_use]
    pub fn shares(&self, per_s: f64) -> Vec<f64> {
        let all: f64 = self.functions.iter().map(|share| share.weight).sum();
        let each = self.functions.iter();
        each.map(|share| per_s * share.weight / all).collect()
    }

    /// Its functions, each with the workers that are there at the beginning.
    pub fn parked(&self) -> impl Iterator<Item = (&FunctionId, usize)> {
        self.functions
            .iter()
            .map(|share| (&share.function, share.parked))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(text: &str) -> Result<Mix, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mix.toml");
        fs::write(&path, text).expect("written");
        Mix::read(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn functions_come_by_their_weights() {
        let mix = read_text(
            "[[function]]\nname = \"a/b\"\nweight = 3\n[[function]]\nname = \"c/d\"\nparked = 2\n",
        );
        let mix = mix.expect("a mix");
        let script = mix.script(Pattern::Poisson, 10_000.0, 1_000_000_000, 5);
        let (first, second) = (script.offsets_ns(0).len(), script.offsets_ns(1).len());
        assert_eq!(first + second, script.arrivals.len());
        // Binomial(10000, 1/4): standard deviation 43; six of them, and those of the number of all.
        assert!(
            second.abs_diff((first + second) / 4) < 260,
            "{first} and {second}"
        );
        assert_eq!(mix.shares(100.0), [75.0, 25.0]);
        let parked: Vec<usize> = mix.parked().map(|(_, n)| n).collect();
        assert_eq!(parked, [0, 2]);
        assert_eq!(
            mix.script(Pattern::Poisson, 10_000.0, 1_000_000_000, 5),
            script
        );
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (text, why) in [
            ("", "function"),
            ("function = []\n", "no [[function]]"),
            ("[[function]]\nname = \"noop\"\n", "user/function"),
            ("[[function]]\nname = \"a/b\"\nweight = 0\n", "above 0"),
            ("[[function]]\nname = \"a/b\"\nweight = nan\n", "above 0"),
            ("[[function]]\nname = \"a/b\"\nwieght = 1\n", "wieght"),
            (
                "[[function]]\nname = \"a/b\"\n[[function]]\nname = \"a/b\"\n",
                "twice",
            ),
        ] {
            let error = read_text(text).expect_err(text);
            assert!(
                error.contains("mix.toml") && error.contains(why),
                "{text}: {error}"
            );
        }
    }
}
