//! The results as a table for a terminal, Markdown, CSV, and a plot.

mod csv_file;
mod markdown;
mod page;
mod plot;
mod summary_file;
mod terminal;
mod words;

pub use terminal::terminal;

use ::report::html::REPORT;
use ::table::summary::SUMMARY;
use measure_core::contract::environment::Environment;

use crate::record::Found;

/// A file of the run directory.
#[derive(Debug)]
pub struct Rendered {
    /// Its name.
    pub name: &'static str,
    /// All of it.
    pub content: String,
}

/// Every file that is made of `found`, which was found on the host of `environment`.
#[must_use]
pub fn render(found: &Found, environment: Option<&Environment>) -> Vec<Rendered> {
    let mut files = vec![
        Rendered {
            name: "isolation.csv",
            content: csv_file::csv(found),
        },
        Rendered {
            name: "isolation.md",
            content: markdown::markdown(found),
        },
        Rendered {
            name: REPORT,
            content: page::render(found, environment),
        },
        Rendered {
            name: SUMMARY,
            content: summary_file::render(found, environment),
        },
    ];
    if let Some(content) = plot::svg(found) {
        files.push(Rendered {
            name: "isolation.svg",
            content,
        });
    }
    files
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::catalogue::PROBES;
    use crate::cell::Cell;
    use crate::interference::{Interference, Noise};
    use crate::networks::Passed;
    use crate::record::RungFound;

    pub(super) fn found() -> Found {
        let contained = || Cell::Contained {
            how: "denied".into(),
        };
        let all = |cell: fn(usize) -> Cell| -> BTreeMap<String, Cell> {
            let each = PROBES.iter().enumerate();
            each.map(|(at, probe)| (probe.id.to_owned(), cell(at)))
                .collect()
        };
        let mut one = RungFound {
            rung: "one".into(),
            cells: all(|_| Cell::Reached),
            interference: Some(Interference {
                alone_ns: vec![vec![10_000; 200]; 6],
                beside_ns: BTreeMap::from([(Noise::Spinning, vec![vec![20_000; 200]; 6])]),
                missing: BTreeMap::from([(Noise::Files, "no file".into())]),
            }),
            slice_ns: 1_400_000,
            passed: Some(Passed {
                mbit_per_s: 940,
                stated_mbit_per_s: Some(1000),
            }),
            ..RungFound::default()
        };
        one.isolation.files = "mount namespace".into();
        one.cells.insert("mount".into(), contained());
        let same = RungFound {
            rung: "same".into(),
            as_rung: Some("one".into()),
            ..RungFound::default()
        };
        let gone = RungFound {
            rung: "gone".into(),
            unavailable: Some("it is not installed | here".into()),
            ..RungFound::default()
        };
        Found {
            cpus: 2,
            slice_ns: 1_400_000,
            control: all(|_| Cell::Reached),
            rungs: vec![one, same, gone],
            ..Found::default()
        }
    }

    #[test]
    fn every_form_has_every_probe_and_every_difference() {
        let found = found();
        let files = render(&found, None);
        let text = |name: &str| {
            files
                .iter()
                .find(|f| f.name == name)
                .map(|f| f.content.clone())
        };
        let markdown = text("isolation.md").expect("Markdown");
        let csv = text("isolation.csv").expect("CSV");
        let svg = text("isolation.svg").expect("a plot");
        let page = text(REPORT).expect("a page");
        let summary = text(SUMMARY).expect("a summary");
        for probe in PROBES {
            for content in [&markdown, &csv, &svg, &page] {
                assert!(content.contains(probe.id), "{}", probe.id);
            }
        }
        for content in [&markdown, &page, &terminal(&found, Some(120)), &summary] {
            assert!(
                content.contains("one states F (mount namespace), but read-shadow, read-planted")
            );
        }
        for content in [&markdown, &page, &terminal(&found, Some(120))] {
            assert!(content.contains("it is not installed"));
            assert!(content.contains("what that of one does"));
            assert!(content.contains("2.00"), "{content}");
        }
        for content in [&markdown, &csv] {
            assert!(
                content.contains("940 Mbit/s pass, 1000 Mbit/s are stated"),
                "{content}"
            );
        }
        assert!(csv.contains("one,mount,contained,denied"), "{csv}");
        assert!(
            csv.contains("one,victim p99 beside spinning,ratio,"),
            "{csv}"
        );
    }

    #[test]
    fn nothing_found_is_said() {
        let text = terminal(&Found::default(), None);
        assert!(text.contains("no rung"), "{text}");
    }
}
