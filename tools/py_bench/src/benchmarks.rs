//! The benchmarks there are: every `bench_*.py`, and those of the suite that are not run, with the reason.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::ids;
use native_vs_wasm::CompareError;

/// What every script's name begins with.
pub const PREFIX: &str = "bench_";
const SUFFIX: &str = ".py";
/// Name and reason of each benchmark that is not run.
const ABSENT: &str = "absent.tsv";
/// Where the scripts lie in a checkout, and in an installation below the home.
const DIR: &str = "pybench-src";

/// The scripts.
#[derive(Debug, Clone)]
pub struct Benchmarks {
    dir: PathBuf,
    names: Vec<String>,
    absent: Vec<(String, String)>,
}

impl Benchmarks {
    /// Looks for the scripts beside the home, or in it.
    ///
    /// # Errors
    /// They are in neither place, or cannot be read.
    pub fn find() -> Result<Self, CompareError> {
        let home = home::root();
        let home = home.canonicalize().unwrap_or(home);
        let places = [home.join(DIR), home.parent().unwrap_or(&home).join(DIR)];
        for dir in &places {
            // By its real name: what a program natively finds behind a link, in Wasm it would not.
            if let Ok(dir) = dir.canonicalize() {
                return Self::in_dir(&dir);
            }
        }
        Err(CompareError::Unavailable(format!(
            "no scripts: neither {} nor {} is there; {} says where to look",
            places[0].display(),
            places[1].display(),
            home::HOME_VARIABLE,
        )))
    }

    /// Those of the directory `dir`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn in_dir(dir: &Path) -> Result<Self, CompareError> {
        let failed =
            |e: std::io::Error| CompareError::Unavailable(format!("{}: {e}", dir.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            names.extend(
                name.filter(|name| name.starts_with(PREFIX))
                    .map(str::to_owned),
            );
        }
        names.sort();
        let absent = fs::read_to_string(dir.join(ABSENT)).unwrap_or_default();
        let absent = absent.lines().filter_map(|line| line.split_once('\t'));
        Ok(Self {
            dir: dir.to_owned(),
            names,
            absent: absent
                .map(|(name, why)| (name.to_owned(), why.to_owned()))
                .collect(),
        })
    }

    /// Where the scripts are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every benchmark's full name, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Those of the suite that are not run: name and reason.
    #[must_use]
    pub fn absent(&self) -> &[(String, String)] {
        &self.absent
    }

    /// The script of `benchmark`.
    #[must_use]
    pub fn script(dir: &Path, benchmark: &str) -> PathBuf {
        dir.join(format!("{benchmark}{SUFFIX}"))
    }

    /// The first line of the script's text about itself, or nothing.
    #[must_use]
    pub fn about(&self, benchmark: &str) -> String {
        let text = fs::read_to_string(Self::script(&self.dir, benchmark)).unwrap_or_default();
        let text = text.strip_prefix("\"\"\"").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        line.trim_end_matches("\"\"\"")
            .trim_end_matches('.')
            .to_owned()
    }

    /// The full names that `text` means: `all`, or one with or without its prefix and `.py`.
    ///
    /// # Errors
    /// There is none, or it is one that is not run.
    pub fn select(&self, text: &str) -> Result<Vec<String>, CompareError> {
        if text == "all" {
            return Ok(self.names.clone());
        }
        let short = text.strip_suffix(SUFFIX).unwrap_or(text);
        let short = short.strip_prefix(PREFIX).unwrap_or(short);
        let full = format!("{PREFIX}{short}");
        if self.names.contains(&full) {
            return Ok(vec![full]);
        }
        if let Some((_, why)) = self.absent.iter().find(|(name, _)| name == short) {
            return Err(CompareError::Unavailable(format!(
                "{short} is not run: {why}"
            )));
        }
        let known = self
            .names
            .iter()
            .map(|n| n.trim_start_matches(PREFIX).to_owned());
        let mut known: Vec<String> = known.collect();
        known.push("all".to_owned());
        Err(CompareError::Usage(ids::unknown(
            "benchmark",
            short,
            &known,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Benchmarks {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(DIR);
        Benchmarks::in_dir(&dir).expect("the scripts of the checkout")
    }

    #[test]
    fn what_was_asked_for_is_there_or_has_a_reason() {
        let ours = ours();
        let wanted = "chaos deltablue dulwich fannkuch float genshi go hexiom json_dumps json_loads logging \
            mdp nbody pickle pidigits pyaes pyflate raytrace richards scimark spectral_norm telco \
            unpack_sequence version chameleon django_template html5lib pathlib regex_compile \
            regex_dna regex_effbot regex_v8 sympy sqlite_synth sqlalchemy_declarative \
            sqlalchemy_imperative";
        for name in wanted.split_whitespace() {
            assert!(ours.names().contains(&format!("{PREFIX}{name}")), "{name}");
        }
        assert!(ours.names().len() >= 85, "{}", ours.names().len());
        assert!(ours.absent().iter().all(|(_, why)| why.len() > 10));
    }

    #[test]
    fn every_script_says_what_it_does() {
        let ours = ours();
        for name in ours.names() {
            assert!(!ours.about(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn names_have_several_spellings() {
        let ours = ours();
        for text in ["float", "bench_float", "bench_float.py", "float.py"] {
            assert_eq!(ours.select(text).expect(text), ["bench_float"]);
        }
        let unknown = ours.select("flaot").expect_err("no such").to_string();
        assert!(unknown.contains("did you mean `float`?"), "{unknown}");
        let absent = ours.select("tornado_http").expect_err("absent").to_string();
        assert!(absent.contains("WASI"), "{absent}");
        assert!(ours.select("").is_err());
        assert!(ours.select("../x").is_err());
    }
}
