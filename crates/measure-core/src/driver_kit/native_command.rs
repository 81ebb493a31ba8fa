//! How a function runs natively that is no executable of its own but a script: the file `command` in its
//! directory of the store, one word a line, the program first.
//!
//! `{home}` in a word stands for what [`crate::base::home::root`] is, `{function}` for the function's directory,
//! so that the same words hold on the host and in an image.

use std::fs;
use std::io;
use std::path::Path;

/// The file's name.
pub const FILE: &str = "command";

/// A program and its arguments, places still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeCommand {
    words: Vec<String>,
}

impl NativeCommand {
    /// The command of the function whose directory is `dir`; `None` if it has none.
    ///
    /// # Errors
    /// The file cannot be read or holds no word.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(dir.join(FILE)) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
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

    /// The words as they hold where `home` and `function` lie.
    #[must_use]
    pub fn at(&self, home: &str, function: &str) -> Vec<String> {
        let place = |word: &String| word.replace("{home}", home).replace("{function}", function);
        self.words.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
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
