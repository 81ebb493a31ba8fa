//! Pages of the documentation, held against what they tell of.

use std::fs;
use std::path::Path;

/// A page on what can be added by a few lines of TOML.
#[derive(Debug)]
pub struct Page {
    text: String,
}

impl Page {
    /// The page `docs/<name>`.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let text = fs::read_to_string(docs.join(name)).expect("the page");
        Self { text }
    }

    /// Its first block of TOML, and the id of the entry in it.
    ///
    /// # Panics
    /// There is none, it has more lines than the page promises, or no id.
    #[must_use]
    pub fn entry(&self) -> (&str, &str) {
        let block = self
            .text
            .split("```toml\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("a block of TOML on the page");
        assert!(block.lines().count() <= 10, "the page promises ten lines");
        let id = block
            .lines()
            .find_map(|line| line.strip_prefix("id = \"")?.strip_suffix('"'))
            .expect("an id");
        (block, id)
    }

    /// Checks that every one of `words` is explained.
    ///
    /// # Panics
    /// One is not on the page.
    #[track_caller]
    pub fn explains(&self, words: &[&str]) {
        for word in words {
            let quoted = format!("`{word}`");
            assert!(self.text.contains(&quoted), "{word} is not on the page");
        }
    }
}
