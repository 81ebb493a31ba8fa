//! What is odd about the starts.

use maud::html;

use super::super::Section;
use super::super::words::bullets;
use super::viewed::Viewed;
use crate::markdown::odd::lines;

/// What was found, and what could not be looked for.
pub(super) fn odd(viewed: &Viewed<'_>) -> Option<Section> {
    let lines = lines(viewed.summary);
    if lines.is_empty() {
        return None;
    }
    let body = html! {
        p { "Nothing was dropped." }
        (bullets(&lines))
    };
    Section::unless_empty("What is odd about them", body)
}
