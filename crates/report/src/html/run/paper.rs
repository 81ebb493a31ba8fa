//! The figures that Faasm's authors published, where they were asked for.

use maud::html;

use super::super::Section;
use super::super::data_table::{NO_LINKS, data_table};
use super::super::words::prose;
use super::viewed::Viewed;
use crate::paper::{LEGEND, SOURCE, beside_the_paper, is_asked_for};

/// Beside this run's.
pub(super) fn paper(viewed: &Viewed<'_>) -> Option<Section> {
    if !is_asked_for(viewed.summary) {
        return None;
    }
    let table = beside_the_paper(viewed.summary);
    let body = html! {
        p { (prose(SOURCE)) }
        (data_table("Beside the original's figures", &table, LEGEND, NO_LINKS))
    };
    Section::unless_empty("Beside the original's figures", body)
}
