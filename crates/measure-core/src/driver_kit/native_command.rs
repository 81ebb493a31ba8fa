//! How a function runs natively that is no executable of its own but a script: the file `command` in its
//! directory of the store, one word a line, the program first.
//!
//! `{home}` in a word stands for what [`crate::base::home::root`] is, `{function}` for the function's directory,
//! so that the same words hold on the host and in an image.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::trust::{self, TrustError};

/// The file's name.
pub const FILE: &str = "command";

/// Why the file is not used.
#[derive(Debug, thiserror::Error)]
pub enum CommandFileError {
    /// Others could have written it or what it names, or it cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It is no command.
    #[error("{}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// A program and its arguments, places still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeCommand {
    words: Vec<String>,
}

impl NativeCommand {
    /// The command of the function whose directory is `dir`; `None` if it has none.
    ///
    /// # Errors
    /// Others could have written the file, or it cannot be read or holds no word.
    pub fn read(dir: &Path) -> Result<Option<Self>, CommandFileError> {
        let path = dir.join(FILE);
        let bytes = match trust::read(&path) {
            Err(error) if error.is_not_found() => return Ok(None),
            read => read?,
        };
        let text =
            String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e));
        let command = text.and_then(|text| Self::parse(&text));
        command
            .map(Some)
            .map_err(|source| CommandFileError::Content { path, source })
    }

    /// Reads the file's content.
    ///
    /// # Errors
    /// No word, or one with a zero byte or an unknown place.
    pub fn parse(text: &str) -> io::Result<Self> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let words: Vec<String> = text
            .lines()
            .filter(|line| !line.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        if words.is_empty() {
            return Err(wrong("it names no program".to_owned()));
        }
        for word in &words {
            let open = word.replace("{home}", "").replace("{function}", "");
            if open.contains(['{', '}', '\0']) {
                return Err(wrong(format!(
                    "`{}`: only {{home}} and {{function}} may stand in braces",
                    word.escape_debug()
                )));
            }
        }
        Ok(Self { words })
    }

    /// Fails if others could have written what its words name below `home` and `function`: scripts, directories of
    /// libraries. What lies in such a directory is not gone through.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn require_trust(&self, home: &str, function: &str) -> Result<(), TrustError> {
        let placed = self.words.iter().filter(|word| word.starts_with('{'));
        for word in placed {
            let path = word.replace("{home}", home).replace("{function}", function);
            match trust::open(Path::new(&path)) {
                // A word that is no path.
                Err(error) if error.is_not_found() => {}
                opened => drop(opened?),
            }
        }
        Ok(())
    }

    /// Whether its program is written so, places still open.
    #[must_use]
    pub fn begins_with(&self, text: &str) -> bool {
        self.words
            .first()
            .is_some_and(|word| word.starts_with(text))
    }

    /// The words as they hold where `home` and `function` lie.
    #[must_use]
    pub fn at(&self, home: &str, function: &str) -> Vec<String> {
        let place = |word: &String| word.replace("{home}", home).replace("{function}", function);
        self.words.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_filled_in() {
        let command = NativeCommand::parse("{home}/bin/python3\n-S\n\n{function}/files/f.py\n");
        let command = command.expect("a command");
        assert_eq!(
            command.at("/h", "/f"),
            ["/h/bin/python3", "-S", "/f/files/f.py"]
        );
        assert_eq!(command.at("", "/f")[0], "/bin/python3");
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for text in ["", "\n\n", "{hom}/x", "a\n}", "a\0b"] {
            assert!(NativeCommand::parse(text).is_err(), "{text:?}");
        }
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(NativeCommand::read(dir.path()).expect("none"), None);
        fs::write(dir.path().join(FILE), "").expect("a file");
        assert!(NativeCommand::read(dir.path()).is_err());
    }

    proptest! {
        #[test]
        fn words_without_places_stay_as_they_are(words in prop::collection::vec("[a-z/ .=-]{1,12}", 1..6)) {
            let command = NativeCommand::parse(&words.join("\n")).expect("a command");
            prop_assert_eq!(command.at("/h", "/f"), words);
        }
    }
}
