//! `report.md`.

pub mod environment;
pub(crate) mod handlers;
pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod odd;
pub(crate) mod passes;
mod reasons;
pub(crate) mod scaling;
pub(crate) mod time;

use std::fmt::Write;

use measure_core::contract::Probe;

use crate::capacity;
use crate::format::unavailable_because;
use crate::load;
use crate::records::Records;
use crate::records::TORN;
use crate::summary::RunSummary;
use crate::terminal::without_figures;
use table::{Align, Table};

/// The whole report; `has_plot` says of a file's name whether that plot lies beside it.
pub(crate) fn render(summary: &RunSummary<'_>, has_plot: &dyn Fn(&str) -> bool) -> String {
    let records = summary.records;
    let mut text = String::from("# What isolation costs\n\n");
    if !records.info.run.is_empty() {
        let _ = writeln!(text, "Run `{}`.", records.info.run);
    }
    for part in &records.info.parts {
        let _ = writeln!(
            text,
            "- `{}`: {}, seed {}, command line `{}`{}",
            part.name,
            part.profile,
            part.seed,
            part.command_line.join(" "),
            part.ended
                .as_ref()
                .map_or(String::new(), |why| format!("; **{why}**")),
        );
    }
    if records.torn {
        let _ = writeln!(text, "- {TORN}");
    }
    text.push('\n');
    text += &environment::warnings(records.environment.as_ref());
    text += &unavailable(summary);
    if summary.has_times() {
        text += &time::section(summary);
        text += &handlers::section(summary);
        text += &passes::section(summary, has_plot(crate::scaling_plot::FILE));
        text += &odd::section(summary);
    }
    if summary.has_memories() {
        text += &memory::section(summary);
    }
    text += &load::section(summary);
    text += &host::section("Runtime", &summary.disturbances());
    text += &capacity::section(summary, has_plot(capacity::FILE));
    if has_plot(crate::ladder_plot::FILE) {
        let file = crate::ladder_plot::FILE;
        let _ = write!(
            text,
            "## The ladder\n\n![start time against memory of one more worker]({file})\n\n\
             Rungs that isolate different things lie on one plot: see the next table before comparing two.\n\n"
        );
    }
    if crate::paper::is_asked_for(summary) {
        text += &crate::paper::section(summary);
    }
    if let Some(prices) = &summary.prices {
        text += &crate::costs::section(summary, prices);
    }
    text += &isolation(summary);
    text += &how(records);
    text += &notes(records);
    text += &environment::section(records.environment.as_ref());
    text
}

/// The tables of what was found, by the names under which pages show them.
pub(crate) fn tables_by_name(summary: &RunSummary<'_>) -> Vec<(String, Table)> {
    let mut tables = vec![("ladder".to_owned(), crate::terminal::ladder(summary))];
    tables.extend(time::tables_by_name(summary));
    tables.push(("handlers".to_owned(), handlers::handlers(summary)));
    tables.push(("memory".to_owned(), memory::headline(summary)));
    tables.push(("scaling".to_owned(), scaling::table(summary)));
    tables.push(("capacity".to_owned(), capacity::headline(summary)));
    tables.push(("load".to_owned(), load::by_rung(&summary.loads)));
    tables.push(("load-rates".to_owned(), load::by_rate(&summary.loads)));
    tables.push(("load-kept".to_owned(), load::kept_by_time(summary)));
    tables.retain(|(_, table)| !table.is_empty());
    tables
}

/// Rungs that could not run, and why.
pub(crate) fn unavailable_table(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[("Runtime", Align::Left), ("Why", Align::Left)]);
    for rung in &summary.rungs {
        let why = rung.unavailable;
        if let Some(why) = why.or_else(|| without_figures(summary, rung)) {
            table.row([rung.rung.to_owned(), unavailable_because(why)]);
        }
    }
    table
}

fn unavailable(summary: &RunSummary<'_>) -> String {
    let table = unavailable_table(summary);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "## Not measured, or not to the end\n\n{}\n",
        table.markdown()
    )
}

/// What each rung states of itself.
pub(crate) fn isolation_table(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Starts", Align::Left),
        ("Engine", Align::Left),
        ("Memory", Align::Left),
        ("CPU", Align::Left),
        ("Network", Align::Left),
        ("Files", Align::Left),
        ("System calls", Align::Left),
        ("Capabilities", Align::Left),
        ("Hardware", Align::Left),
    ]);
    for rung in &summary.rungs {
        let Some(info) = rung.info else { continue };
        let (what, is) = (&info.description, &info.description.isolation);
        let or_none = |text: &String| {
            if text.is_empty() {
                "-".into()
            } else {
                text.clone()
            }
        };
        table.row([
            rung.rung.to_owned(),
            what.summary.clone(),
            what.engine.clone(),
            or_none(&is.memory),
            or_none(&is.cpu),
            or_none(&is.network),
            or_none(&is.files),
            or_none(&is.syscalls),
            or_none(&is.capabilities),
            or_none(&is.hardware),
        ]);
    }
    table
}

fn isolation(summary: &RunSummary<'_>) -> String {
    let table = isolation_table(summary);
    if table.is_empty() {
        return String::new();
    }
    format!("## What each runtime isolates\n\n{}\n", table.markdown())
}

/// How cold is defined, whose work counts and how often each ran.
fn how(records: &Records) -> String {
    let mut text = String::new();
    for part in &records.info.parts {
        for rung in &part.rungs {
            if rung.probe != Probe::Ready {
                continue;
            }
            let _ = writeln!(
                text,
                "- **{}** ({}, by {})",
                rung.description.rung, part.name, rung.driver
            );
            let mut say = |what: &str, words: Option<&str>| {
                if let Some(words) = words.filter(|w| !w.is_empty()) {
                    let _ = writeln!(text, "  - {what}: {words}");
                }
            };
            say("function", rung.function.as_deref());
            if part.name == "time" {
                say("cold means", Some(&rung.description.cold));
            }
            say("counted", rung.scope.as_deref());
            say("starts", rung.plan.as_deref());
            say("settings", Some(&rung.description.settings.join("; ")));
            say("ended early", rung.failure.as_deref());
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("## How each was measured\n\n{text}\n")
}

fn notes(records: &Records) -> String {
    let mut text = String::new();
    for part in &records.info.parts {
        for note in &part.notes {
            let _ = writeln!(text, "- `{}`: {note}", part.name);
        }
    }
    if text.is_empty() {
        return text;
    }
    format!("## Notes\n\n{text}\n")
}
