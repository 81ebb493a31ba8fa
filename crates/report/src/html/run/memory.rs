//! What parked workers weigh; the points with their line are with each rung.

use maud::html;

use super::super::Section;
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::words::{bullets, prose};
use super::viewed::Viewed;
use crate::markdown::memory::{BEYOND, QUANTITIES, details, headline, introduction};

const HEADLINE: Legend = &[
    ("Runtime", "the rung; leads to its points and their line"),
    (
        "PSS of one more",
        "slope of the line over the number of parked workers, 95 % t interval",
    ),
    (
        "Fixed PSS",
        "the line's value at no worker: daemon, driver, shared code",
    ),
    ("Page tables", "slope of the whole host's page tables"),
    ("Kernel stacks", "slope of the whole host's kernel stacks"),
    (
        "Slabs",
        "slope of the kernel's slabs, such as those of a network namespace",
    ),
    ("Per-CPU", "slope of the kernel's per-CPU areas"),
    (
        "Kernel's in all",
        "the four columns before in one: what PSS does not see",
    ),
    (
        "MemAvailable lost",
        "slope of what the host says is left, which other work moves most",
    ),
];

const DETAILS: Legend = &[
    ("Runtime", "the rung; leads to its points and their line"),
    ("Quantity", "what is weighed; the words above say how"),
    ("One more worker", "slope of the line, 95 % t interval"),
    ("Fixed", "the line's value at no worker"),
    ("R2", "how much of the spread the line explains, 1 is all"),
    ("Workers", "how often each number of workers was weighed"),
];

/// Memory.
pub(super) fn memory(viewed: &Viewed<'_>) -> Option<Section> {
    if !viewed.summary.has_memories() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let (every, reasons) = details(viewed.summary);
    let body = html! {
        p { (prose(&introduction())) }
        (data_table("Memory of parked workers", &headline(viewed.summary), HEADLINE, &links))
        p { (prose(BEYOND)) }
        p { (prose(QUANTITIES)) }
        (data_table("Every quantity", &every, DETAILS, &links))
        (bullets(&reasons))
    };
    Section::unless_empty("Memory of parked workers", body)
}
