//! The history for a browser: every series as a picture, its changes marked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use maud::{Markup, html};
use table::{Align, Table};

use super::text::{about, change_in_words, range_in_words, revision, series_table, size_in_words};
use super::{History, Machine, Quantity, RowKey, Series};
use crate::html::axis::{Axis, Counts, Scale};
use crate::html::data_table::{NO_LINKS, data_table};
use crate::html::legend::Legend;
use crate::html::samples::Samples;
use crate::html::words::slug;
use crate::html::xy_plot::{NamedAxis, Series as Drawn, SeriesLook, XyPlot};
use crate::html::{Page, Section};

const MACHINE: (&str, &str) = (
    "machine",
    "host name and fingerprint; what it is stands at the head of the page",
);
const CHANGES: Legend = &[
    ("row", "what changed; leads to its picture"),
    MACHINE,
    (
        "after/before",
        "values after the change over those before, with the 95 % interval by run",
    ),
    (
        "p",
        "how likely a permutation of the series is to part as far",
    ),
    (
        "between",
        "the last run before it and the first after it, with their revisions",
    ),
    (
        "what else differs",
        "facts of host, tools and engines that differ between these two runs",
    ),
];
const SERIES: Legend = &[
    ("row", "leads to its picture"),
    MACHINE,
    ("runs", "how many runs have it"),
    ("first", "what the first run found"),
    ("last", "what the last run found"),
    ("changes", "what was found, and between which runs"),
];
const RUNS: Legend = &[
    ("run", "the run's directory"),
    ("time", "when it began, UTC"),
    ("revision", "of the tools that made it"),
    MACHINE,
    ("rows", "how many rows it has"),
];

impl History {
    /// For a browser.
    #[must_use]
    pub fn html(&self) -> String {
        let ids = ids(self);
        let page = Page {
            title: "History".to_owned(),
            facts: facts(self),
            warnings: self.notes.clone(),
            sections: [
                changes(self, &ids),
                all_series(self, &ids),
                pictures(self, &ids),
                runs(self),
            ]
            .into_iter()
            .flatten()
            .collect(),
            samples: Samples::Nothing,
        };
        page.render()
    }
}

/// Which runs these are, and of which machines.
fn facts(history: &History) -> Vec<(String, String)> {
    let ends = [history.runs.first(), history.runs.last()];
    let [first, last] = ends.map(|run| run.map_or_else(String::new, |r| minute(r.unix_seconds)));
    let runs = format!("{}, begun {first} to {last} UTC", history.runs.len());
    let machine = |machine: &Machine| {
        (
            format!("Machine {}", machine.label()),
            machine.words.clone(),
        )
    };
    let machines = history.machines.values().map(machine);
    std::iter::once(("Runs".to_owned(), runs))
        .chain(machines)
        .collect()
}

/// The rows that have a picture, and its id.
type Ids<'a> = BTreeMap<&'a RowKey, String>;

fn ids(history: &History) -> Ids<'_> {
    let keys: BTreeSet<&RowKey> = history.series.iter().map(|series| &series.key).collect();
    let numbered = keys.into_iter().enumerate();
    numbered
        .map(|(at, key)| (key, format!("row-{at}-{}", slug(&key.row))))
        .collect()
}

/// To the picture of the row with these words.
fn link(ids: &Ids<'_>, words: &str) -> Option<String> {
    let found = ids.iter().find(|(key, _)| key.words() == words);
    found.map(|(_, id)| format!("#{id}"))
}

fn changes(history: &History, ids: &Ids<'_>) -> Option<Section> {
    let mut table = Table::new(&[
        ("row", Align::Left),
        ("machine", Align::Left),
        ("after/before", Align::Left),
        ("p", Align::Right),
        ("between", Align::Left),
        ("what else differs", Align::Left),
    ]);
    for series in &history.series {
        for change in &series.changes {
            // Their revisions stand beside the runs already.
            let differs = change
                .differs
                .iter()
                .filter(|[fact, ..]| fact != "git_revision");
            let differs: Vec<String> = differs
                .map(|[fact, old, new]| format!("{fact}: {old} -> {new}"))
                .collect();
            table.row([
                series.key.words(),
                history.machine_label(&series.machine),
                size_in_words(change).trim_start_matches('x').to_owned(),
                probability(change.p_value),
                range_in_words(history, change)
                    .trim_start_matches("between ")
                    .to_owned(),
                differs.join("; "),
            ]);
        }
    }
    let body = html! {
        p { (about(history)) "." }
        (data_table("Changes", &table, CHANGES, &|cell| link(ids, cell)))
    };
    Section::unless_empty("Changes", body)
}

/// To five decimals.
fn probability(p_value: f64) -> String {
    if p_value < 1e-5 {
        return "<0.00001".to_owned();
    }
    format!("{p_value:.5}")
}

fn all_series(history: &History, ids: &Ids<'_>) -> Option<Section> {
    let table = series_table(history);
    let body = data_table("Every row", &table, SERIES, &|cell| link(ids, cell));
    Section::unless_empty("Every row", body)
}

fn pictures(history: &History, ids: &Ids<'_>) -> Option<Section> {
    let body = html! {
        p { "A point is a run, its bar the 95 % interval of that run. Heights are logarithmic, and each picture has its own. A dashed line from above to below stands where a change was found: between the last run before it and the first after it." }
        div.plots { @for (key, id) in ids { (picture(history, key, id).unwrap_or_default()) } }
    };
    (!ids.is_empty()).then(|| Section {
        title: "Over time".to_owned(),
        body,
    })
}

/// A row over time, a line for each machine.
fn picture(history: &History, key: &RowKey, id: &str) -> Option<Markup> {
    let of_row: Vec<&Series> = history.series.iter().filter(|s| s.key == *key).collect();
    let time = |place: usize| history.runs.get(place).map(|run| run.unix_seconds as f64);
    let drawn = |series: &&Series| Drawn {
        name: history.machine_label(&series.machine),
        points: series
            .points
            .iter()
            .filter_map(|(place, value)| Some((time(*place)?, value.value, value.interval)))
            .collect(),
        look: SeriesLook::Joined,
    };
    let lines: Vec<Drawn> = of_row.iter().map(drawn).collect();
    let times = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|p| p.0));
    let x = Axis::around(Scale::Linear, Counts::Time, times)?;
    let counts = match key.quantity {
        Quantity::Ns => Counts::Tens,
        Quantity::Bytes => Counts::Bytes,
    };
    let y = Axis::around(Scale::Log, counts, lines.iter().flat_map(Drawn::heights))?;
    let all_changes = || of_row.iter().flat_map(|series| &series.changes);
    let marked = all_changes().filter_map(|change| {
        Some(f64::midpoint(
            time(change.last_before)?,
            time(change.first_after)?,
        ))
    });
    let changes: Vec<String> = all_changes()
        .map(|change| change_in_words(history, change))
        .collect();
    let words = key.words();
    let plot = XyPlot {
        caption: &words,
        words: &format!(
            "{words}: {} machines, {} changes; the tables have them",
            lines.len(),
            changes.len()
        ),
        x: NamedAxis {
            name: "UTC",
            axis: x,
            format: day,
        },
        y: NamedAxis {
            name: "",
            axis: y,
            format: key.quantity.format(),
        },
        series: lines,
        lines: Vec::new(),
        marked: marked.collect(),
    };
    Some(html! {
        div.picture id=(id) {
            (plot.figure())
            @if !changes.is_empty() { ul { @for change in &changes { li { (change) } } } }
        }
    })
}

/// A time as its day, and minute if it is not midnight.
fn day(unix_seconds: f64) -> String {
    let form = if unix_seconds % 86_400.0 == 0.0 {
        "%Y-%m-%d"
    } else {
        "%m-%d %H:%M"
    };
    let time = Timestamp::from_second(unix_seconds as i64).ok();
    time.map_or_else(String::new, |time| time.strftime(form).to_string())
}

/// A time to its minute.
fn minute(unix_seconds: u64) -> String {
    let time = i64::try_from(unix_seconds).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(String::new, |time| {
        time.strftime("%Y-%m-%d %H:%M").to_string()
    })
}

fn runs(history: &History) -> Option<Section> {
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("time", Align::Left),
        ("revision", Align::Left),
        ("machine", Align::Left),
        ("rows", Align::Right),
    ]);
    for run in &history.runs {
        table.row([
            run.run.clone(),
            minute(run.unix_seconds),
            revision(run),
            run.machine.label(),
            run.rows.len().to_string(),
        ]);
    }
    Section::unless_empty("Runs", data_table("Runs", &table, RUNS, NO_LINKS))
}
