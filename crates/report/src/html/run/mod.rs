//! The page of a run of rungs: a view is a file here and a line in [`VIEWS`].

mod capacity;
mod handlers;
mod ladder;
mod load;
mod memory;
mod odd;
mod paper;
mod passes;
mod prices;
mod procedure;
mod rungs;
mod scaling;
mod starts;
mod viewed;

use super::samples::Samples;
use super::{Page, REPORT, Section, concerns};
use crate::Rendered;
use crate::records::TORN;
use crate::summary::RunSummary;
use crate::summary_file::{as_typed, measured_on};
use viewed::Viewed;

/// Makes a section; `None` where the records have nothing for it.
type View = fn(&Viewed<'_>) -> Option<Section>;

/// In the order of the page.
const VIEWS: &[View] = &[
    ladder::not_measured,
    ladder::ladder,
    paper::paper,
    prices::prices,
    starts::starts,
    handlers::handlers,
    rungs::rungs,
    starts::phases,
    passes::throughput,
    scaling::scaling,
    passes::cpu,
    passes::disk,
    memory::memory,
    load::load,
    capacity::capacity,
    odd::odd,
    procedure::host,
    procedure::isolation,
    procedure::procedure,
    procedure::notes,
    procedure::environment,
];

/// The page.
pub(crate) fn render(summary: &RunSummary<'_>) -> Rendered {
    let viewed = Viewed::new(summary);
    let records = summary.records;
    let page = Page {
        title: "What isolation costs".to_owned(),
        facts: facts(summary),
        warnings: warnings(summary),
        sections: VIEWS.iter().filter_map(|view| view(&viewed)).collect(),
        samples: Samples::from_records(&records.samples),
    };
    Rendered {
        name: REPORT,
        content: page.render(),
    }
}

fn facts(summary: &RunSummary<'_>) -> Vec<(String, String)> {
    let records = summary.records;
    let mut facts = vec![("Run".to_owned(), records.info.run.clone())];
    let host = records.environment.as_ref().map(measured_on);
    facts.extend(host.map(|host| ("Measured on".to_owned(), host)));
    for part in &records.info.parts {
        let words = format!(
            "`{}` ({}), seed {}",
            as_typed(&part.command_line),
            part.profile,
            part.seed
        );
        facts.push((part.name.clone(), words));
    }
    facts.retain(|(_, words)| !words.is_empty());
    facts
}

fn warnings(summary: &RunSummary<'_>) -> Vec<String> {
    let records = summary.records;
    let ended = records.info.parts.iter().filter_map(|part| {
        let why = part.ended.as_ref()?;
        Some(format!("`{}` did not come to its end: {why}", part.name))
    });
    let torn = records.torn.then(|| TORN.to_owned());
    let mut all: Vec<String> = ended.chain(torn).collect();
    all.extend(concerns(records.environment.as_ref()));
    all
}
