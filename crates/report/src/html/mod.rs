//! `report.html`: one file with tables, pictures and samples, that loads nothing and can be sent by mail.
//!
//! A page is sections of markup. Pictures are SVG written here and not by plotters, which draws the other plots: it writes colours and
//! sizes into the picture, so that it has no dark form, no printed one, and letters of three pixels on a telephone; and its
//! pictures of forty rungs are larger than the whole page may be.
//!
//! Names come from whoever wrote a function. They are inert twice: everything is escaped by `maud`, and the browser is told to run no script
//! but the one whose hash the page states, and to load nothing.

pub mod axis;
pub mod data_table;
pub mod distribution;
pub mod legend;
pub(crate) mod run;
pub mod samples;
pub mod strips;
pub mod words;
pub mod xy_plot;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use measure_core::contract::environment::{Environment, Severity};
use sha2::{Digest, Sha256};
use table::turns_text;

use samples::Samples;
use words::{prose, slug};

/// The file's name, in the directory of a run.
pub const REPORT: &str = "report.html";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A part of a page, under a heading.
#[derive(Debug, Clone)]
pub struct Section {
    /// The heading, also in the page's contents.
    pub title: String,
    /// What stands below it.
    pub body: Markup,
}

impl Section {
    /// A section with `body`; `None` without any.
    #[must_use]
    pub fn unless_empty(title: &str, body: Markup) -> Option<Self> {
        (!body.0.is_empty()).then(|| Self {
            title: title.to_owned(),
            body,
        })
    }
}

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What it is, for the heading and the browser's tab.
    pub title: String,
    /// What was run, on what and how: names and values, in words.
    pub facts: Vec<(String, String)>,
    /// What a reader has to know before the first number, in sentences.
    pub warnings: Vec<String>,
    /// From above.
    pub sections: Vec<Section>,
    /// Every sample, within reach of the page's script.
    pub samples: Samples,
}

impl Page {
    /// The whole file.
    #[must_use]
    pub fn render(&self) -> String {
        let ids = ids(&self.sections);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                (self.head())
                body {
                    a.skip href="#main" { "To the figures" }
                    header {
                        h1 { (self.title) }
                        dl.facts { @for (name, value) in &self.facts { dt { (name) } dd { (prose(value)) } } }
                    }
                    (contents(&self.sections, &ids))
                    main id="main" {
                        (warned(&self.warnings))
                        @for (section, id) in self.sections.iter().zip(&ids) {
                            section id=(id) aria-labelledby={ (id) "-heading" } {
                                h2 id={ (id) "-heading" } { (section.title) }
                                (section.body)
                            }
                        }
                    }
                    noscript { p { "Without JavaScript tables keep their order, and samples are in samples.jsonl alone; all else is here." } }
                    (within_reach(&self.samples))
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        upright(page.into_string()) + "\n"
    }

    fn head(&self) -> Markup {
        html! {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (self.title) }
                style { (PreEscaped(STYLE)) }
            }
        }
    }
}

/// `page` without Unicode's bidirectional overrides and isolates, by which a name would turn around all that stands behind it.
fn upright(page: String) -> String {
    if page.contains(turns_text) {
        page.replace(turns_text, "\u{fffd}")
    } else {
        page
    }
}

/// Nothing is loaded from anywhere, and no script runs but ours.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
    )
}

/// An id for each section, none twice.
fn ids(sections: &[Section]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let id = |section: &Section| {
        let id = slug(&section.title);
        let times = seen.entry(id.clone()).or_default();
        *times += 1;
        if *times == 1 {
            id
        } else {
            format!("{id}-{times}")
        }
    };
    sections.iter().map(id).collect()
}

fn contents(sections: &[Section], ids: &[String]) -> Markup {
    html! {
        nav aria-label="Contents" {
            ol { @for (section, id) in sections.iter().zip(ids) {
                li { a href={ "#" (id) } { (section.title) } }
            } }
        }
    }
}

fn within_reach(samples: &Samples) -> Markup {
    html! {
        @match samples {
            Samples::Nothing => {},
            Samples::Within(json) => script #samples type="application/json" { (PreEscaped(json)) },
            Samples::TooMany(count) => p { "The " (count) " samples are too many for a page that is to be sent: they are in samples.jsonl beside it." },
        }
    }
}

fn warned(warnings: &[String]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            section.warnings id="warnings" aria-labelledby="warnings-heading" {
                h2 id="warnings-heading" { "Warnings" }
                ul { @for warning in warnings { li { (prose(warning)) } } }
            }
        }
    }
}

/// What makes the numbers of a host less trustworthy, worst first.
#[must_use]
pub fn concerns(environment: Option<&Environment>) -> Vec<String> {
    let found = environment.map(Environment::concerns).unwrap_or_default();
    let words = found.into_iter().map(|concern| {
        let unfit = if concern.severity == Severity::Unfit {
            "unfit, "
        } else {
            ""
        };
        format!("{unfit}{}: {concern}", concern.about)
    });
    words.collect()
}

/// The facts of an environment, each group folded away.
#[must_use]
pub fn environment_section(environment: Option<&Environment>) -> Option<Section> {
    let lists = crate::markdown::environment::facts_by_group(environment?);
    let body = html! {
        @for (title, facts) in lists {
            details.facts {
                summary { (title) }
                dl.facts { @for (name, words) in facts { dt { (name) } dd { (words) } } }
            }
        }
    };
    Section::unless_empty("Environment", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_nothing_and_hostile_words_are_inert() {
        let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}";
        let page = Page {
            title: hostile.to_owned(),
            facts: vec![(hostile.to_owned(), hostile.to_owned())],
            warnings: vec![hostile.to_owned()],
            sections: vec![
                Section {
                    title: hostile.to_owned(),
                    body: html! { p { (hostile) } },
                },
                Section {
                    title: hostile.to_owned(),
                    body: html! {},
                },
            ],
            samples: Samples::Nothing,
        };
        let text = page.render();
        assert_eq!(text.matches("<script").count(), 1, "only ours");
        for forbidden in [
            "<img", "http:", "https:", "src=\"", "@import", "url(", "\u{202e}",
        ] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        assert!(text.contains("script-src 'sha256-"), "{text}");
        assert!(text.contains("-2-heading"), "ids differ: {text}");
    }
}
