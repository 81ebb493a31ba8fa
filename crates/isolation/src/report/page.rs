//! `report.html` of what probes found: a view is a function here and a line in [`VIEWS`].

use ::report::html::data_table::{NO_LINKS, data_table};
use ::report::html::legend::Legend;
use ::report::html::samples::Samples;
use ::report::html::words::bullets;
use ::report::html::{Page, Section, concerns, environment_section};
use ::report::measured_on;
use maud::html;
use measure_core::contract::environment::Environment;

use super::markdown::{
    about_victim, difference_lines, letters_table, matrix, not_probed_table, outside_table,
    passed_table, questions, victim_table,
};
use crate::catalogue::{Group, PROBES};
use crate::record::Found;

const LETTERS: Legend = &[
    ("rung", "what was probed"),
    (
        "stated",
        "what its entry states: Memory, CPU, Network, Files, System calls, Privileges, Hardware, - where it does not",
    ),
    (
        "found",
        "the letters of which no probe reached anything, ? where none could be tried, - where one did",
    ),
];
const VICTIM: Legend = &[
    ("rung", "whose victim and aggressors"),
    (
        "p50 alone",
        "median of the victim's starts with nothing beside it",
    ),
    ("p99 alone", "99th percentile of the same"),
    (
        "p99 beside spinning is within",
        "what the processors' fair share, and the scheduler's slice, allow",
    ),
    (
        "p50 beside *",
        "median beside such aggressors over that alone",
    ),
    (
        "p99 beside *",
        "99th percentile beside such aggressors over that alone",
    ),
];
const QUESTIONS: Legend = &[
    ("probe", "its name, as of a column above"),
    ("letter", "what of a rung it tells"),
];

/// Makes sections; none where nothing was found for it.
type View = fn(&Found) -> Vec<Section>;

/// In the order of the page.
const VIEWS: &[View] = &[
    |found| letters(found).into_iter().collect(),
    |found| otherwise(found).into_iter().collect(),
    groups,
    |found| victim(found).into_iter().collect(),
    |found| outside(found).into_iter().collect(),
    |found| not_probed(found).into_iter().collect(),
    |_| probes().into_iter().collect(),
];

/// The page.
pub(super) fn render(found: &Found, environment: Option<&Environment>) -> String {
    let mut facts = vec![("Run".to_owned(), found.run.clone())];
    facts.extend(environment.map(|host| ("Measured on".to_owned(), measured_on(host))));
    if found.function.is_some() {
        facts.push(("Function".to_owned(), found.asked_for()));
    }
    facts.push(("Processors".to_owned(), found.cpus.to_string()));
    let mut warnings: Vec<String> = found
        .ended
        .iter()
        .map(|why| format!("it did not come to its end: {why}"))
        .collect();
    warnings.extend(concerns(environment));
    let mut sections: Vec<Section> = VIEWS.iter().flat_map(|view| view(found)).collect();
    sections.extend(environment_section(environment));
    let page = Page {
        title: "What each rung isolates, as probes found it".to_owned(),
        facts,
        warnings,
        sections,
        samples: Samples::Nothing,
    };
    page.render()
}

fn letters(found: &Found) -> Option<Section> {
    let body = data_table("Stated and found", &letters_table(found), LETTERS, NO_LINKS);
    Section::unless_empty("Stated and found", body)
}

fn otherwise(found: &Found) -> Option<Section> {
    Section::unless_empty(
        "Found otherwise than stated",
        bullets(&difference_lines(found)),
    )
}

/// A matrix for each group of probes, and what they try where it stands.
fn groups(found: &Found) -> Vec<Section> {
    let section = |group: Group| {
        let caption = format!("Probes of {}", group.name());
        let body = html! {
            (data_table(&caption, &matrix(found, group), &[("rung", "what was probed; (control): a bare process of the host")], NO_LINKS))
            details.legend {
                summary { "What each probe tries" }
                dl { @for probe in PROBES.iter().filter(|p| p.group == group) {
                    dt { (probe.id) } dd { (probe.means) }
                } }
            }
        };
        Section::unless_empty(group.name(), body)
    };
    Group::ALL.into_iter().filter_map(section).collect()
}

fn victim(found: &Found) -> Option<Section> {
    let (table, missing) = victim_table(found);
    if table.is_empty() && missing.is_empty() {
        return None;
    }
    let body = html! {
        p { (about_victim(found)) }
        (data_table("The victim", &table, VICTIM, NO_LINKS))
        (bullets(&missing))
    };
    Section::unless_empty("The victim beside a noisy neighbour", body)
}

fn outside(found: &Found) -> Option<Section> {
    let (carried, passed) = (outside_table(found), passed_table(found));
    if carried.is_empty() && passed.is_empty() {
        return None;
    }
    let body = html! {
        p { "Processes of the host that carry a parked worker, the driver's own included." }
        (data_table("Processes that carry a worker", &carried, &[], NO_LINKS))
        (data_table("Out of a parked worker's network", &passed, &[], NO_LINKS))
    };
    Section::unless_empty("From outside", body)
}

fn not_probed(found: &Found) -> Option<Section> {
    let body = data_table(
        "Rungs that were not probed",
        &not_probed_table(found),
        &[],
        NO_LINKS,
    );
    Section::unless_empty("Not probed", body)
}

fn probes() -> Option<Section> {
    let body = data_table("What each probe tries", &questions(), QUESTIONS, NO_LINKS);
    Section::unless_empty("What each probe tries", body)
}
