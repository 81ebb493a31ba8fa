//! How it was measured: on what host, what it isolates, with which settings.

use maud::{Markup, html};
use measure_core::contract::Probe;
use measure_core::contract::run_info::{Part, RungInfo};

use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::words::prose;
use super::super::{Section, environment_section};
use super::viewed::Viewed;
use crate::markdown::host::{ABOUT, host_table};
use crate::markdown::isolation_table;

const HOST: Legend = &[
    (
        "Runtime",
        "the rung whose blocks were watched; none where rungs share them",
    ),
    ("Blocks", "blocks of measurement that were watched"),
    ("Disturbed", "of these, disturbed"),
    ("Share", "of those that were long enough to tell"),
    (
        "Too short to tell",
        "blocks shorter than what the host's counters tell apart",
    ),
    ("By", "what disturbed how many"),
];

const ISOLATION: Legend = &[
    ("Runtime", "the rung"),
    ("Starts", "what starts"),
    ("Engine", "what carries it, with its version"),
    (
        "Memory",
        "what keeps the memory of one function from another, - nothing",
    ),
    ("CPU", "what bounds its share of the processors"),
    ("Network", "what parts its network from the host's"),
    ("Files", "what bounds the files that it can reach"),
    (
        "System calls",
        "what bounds the system calls that it can make",
    ),
    ("Capabilities", "which privileges it has"),
    (
        "Hardware",
        "an edge that the processor guards besides the kernel's own",
    ),
];

/// What else the host did.
pub(super) fn host(viewed: &Viewed<'_>) -> Option<Section> {
    let table = host_table("Runtime", &viewed.summary.disturbances());
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (prose(ABOUT)) }
        (data_table("The host meanwhile", &table, HOST, &links))
    };
    Section::unless_empty("The host meanwhile", body)
}

/// What each rung states of itself.
pub(super) fn isolation(viewed: &Viewed<'_>) -> Option<Section> {
    let table = isolation_table(viewed.summary);
    if table.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { "As each rung states of itself; " code { "runtime_bench isolation" } " tries it." }
        (data_table("What each rung isolates", &table, ISOLATION, &links))
    };
    Section::unless_empty("What each rung isolates", body)
}

/// How cold is defined, whose work counts, how often each ran.
pub(super) fn procedure(viewed: &Viewed<'_>) -> Option<Section> {
    let parts = &viewed.summary.records.info.parts;
    let ran = |part: &Part| -> Vec<RungInfo> {
        let rungs = part.rungs.iter();
        rungs.filter(|r| r.probe == Probe::Ready).cloned().collect()
    };
    let any = parts.iter().any(|part| !ran(part).is_empty());
    let body = html! {
        @for part in parts {
            @for rung in ran(part) {
                details.facts {
                    summary { (rung.description.rung) " (" (part.name) ", by " (rung.driver) ")" }
                    (of_rung(&rung, part.name == "time"))
                }
            }
        }
        details.samples hidden data-rung="" data-file="samples.csv" { summary { "Every sample of the run" } }
    };
    any.then(|| Section {
        title: "How each was measured".to_owned(),
        body,
    })
}

fn of_rung(rung: &RungInfo, is_timed: bool) -> Markup {
    let cold = Some(rung.description.cold.as_str()).filter(|_| is_timed);
    let settings = rung.description.settings.join("; ");
    let said = [
        ("function", rung.function.as_deref()),
        ("cold means", cold),
        ("counted", rung.scope.as_deref()),
        ("starts", rung.plan.as_deref()),
        ("settings", Some(settings.as_str())),
        ("ended early", rung.failure.as_deref()),
    ];
    html! {
        dl.facts {
            @for (what, words) in said {
                @if let Some(words) = words.filter(|words| !words.is_empty()) { dt { (what) } dd { (words) } }
            }
        }
    }
}

/// What to know of the run.
pub(super) fn notes(viewed: &Viewed<'_>) -> Option<Section> {
    let parts = viewed.summary.records.info.parts.iter();
    let notes: Vec<(&str, &str)> = parts
        .flat_map(|part| {
            part.notes
                .iter()
                .map(|note| (part.name.as_str(), note.as_str()))
        })
        .collect();
    let body = html! {
        ul { @for (part, note) in &notes { li { code { (part) } ": " (prose(note)) } } }
    };
    (!notes.is_empty()).then(|| Section {
        title: "Notes".to_owned(),
        body,
    })
}

/// The host.
pub(super) fn environment(viewed: &Viewed<'_>) -> Option<Section> {
    environment_section(viewed.summary.records.environment.as_ref())
}
