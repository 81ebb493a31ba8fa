//! Several hosts for a browser: each rung's ratio to docker as a mark for each host, above the tables.

use maud::{Markup, html};

use super::{AGREE, Hosts, WEIGHTS};
use crate::format::ratio;
use crate::html::axis::Counts;
use crate::html::data_table::{NO_LINKS, data_table};
use crate::html::legend::Legend;
use crate::html::samples::Samples;
use crate::html::strips::{COLOURS, Look, Mark, Strip, on_log_axis};
use crate::html::{Page, Section};
use crate::time::Design;

const RATIOS: Legend = &[
    ("rung", "what starts"),
    (
        AGREE,
        "whether all of them have one ratio: differ, where Cochran's test rejects that (widened for the number of rows), else not told apart; in brackets the largest over the smallest",
    ),
    (
        "*",
        "on this host: how many such starts fit into one of docker-none there, with its 95 % interval",
    ),
];
const MEDIANS: Legend = &[
    ("rung", "what starts"),
    (
        "*",
        "median on this host, with its 95 % interval by process",
    ),
];
const WEIGHED: Legend = &[
    ("rung", "what is parked"),
    (
        "*",
        "proportional set size of one more parked worker on this host: the slope of a line over their number; -a+b%: how far the ends of its 95 % interval lie off",
    ),
];

impl Hosts<'_> {
    /// For a browser.
    #[must_use]
    pub fn html(&self) -> String {
        let page = Page {
            title: "Several hosts".to_owned(),
            facts: self.words(),
            warnings: Vec::new(),
            sections: Design::ALL
                .into_iter()
                .filter_map(|design| starts(self, design))
                .chain(memory(self))
                .collect(),
            samples: Samples::Nothing,
        };
        page.render()
    }
}

fn starts(hosts: &Hosts<'_>, design: Design) -> Option<Section> {
    let ratios = hosts.ratios(design);
    if ratios.is_empty() {
        return None;
    }
    let body = html! {
        p { "Times of different hosts are not divided by one another. What travels is a ratio within a host: how many starts of a rung fit into one of docker-none there." }
        (picture(hosts, design))
        (data_table(&format!("docker-none over this, {design}"), &ratios, RATIOS, NO_LINKS))
        (data_table(&format!("Medians, {design}"), &hosts.medians(design), MEDIANS, NO_LINKS))
    };
    Section::unless_empty(&format!("Starts, {design}"), body)
}

fn memory(hosts: &Hosts<'_>) -> Option<Section> {
    let body = data_table(WEIGHTS, &hosts.weights(), WEIGHED, NO_LINKS);
    Section::unless_empty("Memory of parked workers", body)
}

/// A line for each rung with a mark for each host; of more hosts than there are colours the table tells more.
fn picture(hosts: &Hosts<'_>, design: Design) -> Markup {
    if hosts.hosts.len() > COLOURS {
        return html! {};
    }
    let strip = |rung: &str| {
        let found = hosts.hosts.iter().map(|host| host.ratio(rung, design));
        let marks: Vec<Mark> = found
            .enumerate()
            .filter_map(|(series, estimate)| Some(Mark::new(series, &estimate?)))
            .collect();
        (!marks.is_empty()).then(|| Strip {
            name: rung.to_owned(),
            link: None,
            marks,
            words: hosts.agreement(rung, design),
        })
    };
    let strips: Vec<Strip> = hosts.rungs().into_iter().filter_map(strip).collect();
    let names: Vec<String> = hosts.hosts.iter().map(|host| host.name.clone()).collect();
    on_log_axis(
        "Starts that fit into one of docker-none, by host, with 95 % intervals",
        &names,
        strips,
        (Counts::Tens, [1.0]),
        ratio,
        Look::Points,
    )
}
