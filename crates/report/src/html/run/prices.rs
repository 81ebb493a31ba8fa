//! What it costs in money, where prices were named.

use maud::html;

use super::super::Section;
use super::super::data_table::data_table;
use super::viewed::Viewed;
use crate::costs::{LEGEND, price_table};

/// At the prices of who made the report.
pub(super) fn prices(viewed: &Viewed<'_>) -> Option<Section> {
    let prices = viewed.summary.prices.as_ref()?;
    let table = price_table(viewed.summary, prices);
    let body = html! {
        p { (prices.about()) }
        (data_table("What it costs", &table, LEGEND, &|cell| viewed.link(cell)))
    };
    Section::unless_empty("What it costs", body)
}
