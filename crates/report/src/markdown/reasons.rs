//! Why something is unchecked, each reason once with all that it holds for.

use std::fmt::Write;

use stats::levels::Unchecked;

use crate::format::UNCHECKED;

/// Reasons, and for each whom it holds for.
#[derive(Debug, Default)]
pub(super) struct Reasons(Vec<(String, Vec<String>)>);

impl Reasons {
    /// `reason` holds for `whose`, which has as much as `why` says.
    pub fn add(&mut self, reason: &str, whose: &str, why: &Unchecked) {
        let has = why
            .found()
            .map_or(String::new(), |found| format!(" ({found})"));
        let whose = format!("{whose}{has}");
        match self.0.iter_mut().find(|(known, _)| known == reason) {
            Some((_, all)) => all.push(whose),
            None => self.0.push((reason.to_owned(), vec![whose])),
        }
    }

    /// A line each.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for (reason, whose) in &self.0 {
            let _ = writeln!(text, "- {UNCHECKED}: {reason}: {}", whose.join(", "));
        }
        text
    }
}
