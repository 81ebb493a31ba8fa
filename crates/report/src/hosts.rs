//! Runs of several hosts joined: rungs over hosts, each row's ratio to docker on each, and whether hosts agree. Times of different hosts are not
//! divided by one another; ratios within a host are what travels.

use maud::html;
use stats::CONFIDENCE;
use stats::agreement::agreement;
use stats::levels::Estimate;
use table::{Align, Table};

use crate::format::{UNCHECKED, duration_ns, legend_line, ratio, with_interval};
use crate::html::data_table::{NO_LINKS, data_table};
use crate::html::legend::Legend;
use crate::html::samples::Samples;
use crate::html::{Page, Section};
use crate::summary::RunSummary;
use crate::summary_file::measured_on;
use crate::time::{Design, REFERENCE};

const RATIOS: Legend = &[
    ("rung", "what starts"),
    (
        "hosts",
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
/// What one host's run says.
#[derive(Debug)]
pub struct Host<'a> {
    /// What it is called in the tables.
    pub name: String,
    /// What it found; why there is nothing, if there is not.
    pub found: Result<RunSummary<'a>, String>,
}

/// What several hosts' runs say.
#[derive(Debug)]
pub struct Hosts<'a> {
    hosts: Vec<Host<'a>>,
}

impl<'a> Hosts<'a> {
    /// Joins what `hosts` found; names that are there twice are told apart by a number.
    #[must_use]
    pub fn new(mut hosts: Vec<Host<'a>>) -> Self {
        for at in 0..hosts.len() {
            let name = hosts[at].name.clone();
            let before = hosts[..at]
                .iter()
                .filter(|h| h.name == name || h.name.starts_with(&format!("{name} #")));
            let times = before.count();
            if times > 0 {
                hosts[at].name = format!("{name} #{}", times + 1);
            }
        }
        Self { hosts }
    }

    /// The rungs of all hosts, in the order of the first that has each.
    fn rungs(&self) -> Vec<&str> {
        let mut rungs: Vec<&str> = Vec::new();
        for summary in self
            .hosts
            .iter()
            .filter_map(|host| host.found.as_ref().ok())
        {
            for rung in &summary.rungs {
                if !rungs.contains(&rung.rung) {
                    rungs.push(rung.rung);
                }
            }
        }
        rungs
    }

    fn table(
        &self,
        design: Design,
        last: Option<&str>,
        cells: impl Fn(&str) -> Vec<String>,
    ) -> Table {
        let mut table = Table::new(&[("rung", Align::Left)]);
        for host in &self.hosts {
            table.column(&host.name, Align::Left);
        }
        if let Some(last) = last {
            table.column(last, Align::Left);
        }
        for rung in self.rungs() {
            let is_measured = self
                .hosts
                .iter()
                .any(|host| median_of(host, rung, design).is_some());
            if is_measured {
                table.row(std::iter::once(rung.to_owned()).chain(cells(rung)));
            }
        }
        table
    }

    /// Each rung's ratio to docker on each host, and whether they agree.
    #[must_use]
    pub fn ratios(&self, design: Design) -> Table {
        let rows = self.rungs().len().max(1) as f64;
        let level = (1.0 - CONFIDENCE) / rows;
        self.table(design, Some("hosts"), |rung| {
            let found: Vec<Option<Estimate>> = self
                .hosts
                .iter()
                .map(|host| ratio_of(host, rung, design))
                .collect();
            let mut cells: Vec<String> = self
                .hosts
                .iter()
                .zip(&found)
                .map(|(host, found)| match found {
                    Some(found) => with_interval(found, ratio),
                    None if rung == REFERENCE && median_of(host, rung, design).is_some() => {
                        "1".to_owned()
                    }
                    None => why_not(host, rung),
                })
                .collect();
            cells.push(judged(
                &found.into_iter().flatten().collect::<Vec<_>>(),
                level,
            ));
            cells
        })
    }

    /// Each rung's median on each host.
    #[must_use]
    pub fn medians(&self, design: Design) -> Table {
        self.table(design, None, |rung| {
            let cells = self
                .hosts
                .iter()
                .map(|host| match median_of(host, rung, design) {
                    Some(median) => with_interval(&median, duration_ns),
                    None => why_not(host, rung),
                });
            cells.collect()
        })
    }

    /// What each host is, or why it has nothing.
    fn words(&self) -> Vec<(String, String)> {
        let words = |host: &Host<'_>| match &host.found {
            Err(why) => format!("nothing: {why}"),
            Ok(summary) => {
                let environment = summary.records.environment.as_ref();
                environment.map_or_else(|| "no environment.json".to_owned(), measured_on)
            }
        };
        self.hosts
            .iter()
            .map(|host| (host.name.clone(), words(host)))
            .collect()
    }

    /// For a terminal of `width` characters, if there is one.
    #[must_use]
    pub fn text(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        for design in Design::ALL {
            let ratios = self.ratios(design);
            if !ratios.is_empty() {
                text += &format!("docker-none over this, {design}\n{}\n", ratios.text(width));
            }
        }
        for (name, words) in self.words() {
            text += &legend_line(&format!("{name}: {words}"), width);
        }
        text
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = "# Several hosts\n\n".to_owned();
        for (name, words) in self.words() {
            text += &format!("- {name}: {words}\n");
        }
        for design in Design::ALL {
            let ratios = self.ratios(design);
            if !ratios.is_empty() {
                text += &format!(
                    "\n## docker-none over this, {design}\n\n{}\n## Medians, {design}\n\n{}",
                    ratios.markdown(),
                    self.medians(design).markdown()
                );
            }
        }
        text
    }

    /// For a browser.
    #[must_use]
    pub fn html(&self) -> String {
        let section = |design: Design| {
            let ratios = self.ratios(design);
            if ratios.is_empty() {
                return None;
            }
            let body = html! {
                (data_table(&format!("docker-none over this, {design}"), &ratios, RATIOS, NO_LINKS))
                (data_table(&format!("Medians, {design}"), &self.medians(design), MEDIANS, NO_LINKS))
            };
            Section::unless_empty(&format!("Starts, {design}"), body)
        };
        let page = Page {
            title: "Several hosts".to_owned(),
            facts: self.words(),
            warnings: Vec::new(),
            sections: Design::ALL.into_iter().filter_map(section).collect(),
            samples: Samples::Nothing,
        };
        page.render()
    }
}

fn median_of(host: &Host<'_>, rung: &str, design: Design) -> Option<Estimate> {
    let rung = host.found.as_ref().ok()?.rung(rung)?;
    Some(rung.time.as_ref()?.design(design)?.median)
}

fn ratio_of(host: &Host<'_>, rung: &str, design: Design) -> Option<Estimate> {
    let rung = host.found.as_ref().ok()?.rung(rung)?;
    rung.time.as_ref()?.design(design)?.reference_over_this
}

/// Why a host has no value for `rung`.
fn why_not(host: &Host<'_>, rung: &str) -> String {
    let Ok(summary) = &host.found else {
        return "no run".to_owned();
    };
    let Some(rung) = summary.rung(rung) else {
        return "not asked for".to_owned();
    };
    let failed = rung
        .time
        .as_ref()
        .and_then(|time| time.first_error.as_deref());
    match rung.unavailable.or(failed) {
        Some(why) => crate::format::unavailable_because(why),
        None if rung.time.is_some() => "no docker-none there".to_owned(),
        None => "not measured".to_owned(),
    }
}

fn judged(found: &[Estimate], level: f64) -> String {
    match agreement(found) {
        Ok(None) => String::new(),
        Ok(Some(agreement)) => {
            let word = if agreement.p_value < level {
                "differ"
            } else {
                "not told apart"
            };
            format!("{word} (x{})", ratio(agreement.largest_over_smallest))
        }
        Err(why) => format!("{UNCHECKED}: {}", why.needs()),
    }
}

#[cfg(test)]
mod tests {
    use measure_core::contract::sample::{SCHEMA, Sample, Value};
    use measure_core::contract::vocabulary::{Measure, Metric, phase};

    use super::*;
    use crate::records::Records;

    fn records(rungs: &[(&str, i64)]) -> Records {
        let mut records = Records::default();
        for (rung, ns) in rungs {
            for process in 1..=8 {
                for order in 0..3 {
                    records.samples.push(Sample {
                        schema: SCHEMA,
                        run: "r".into(),
                        rung: (*rung).into(),
                        function: "demo/noop".into(),
                        measure: Measure::Isolated,
                        phase: phase::TOTAL.into(),
                        metric: Metric::WallNs,
                        value: Value::Value(ns + ns / 200 * i64::from(process)),
                        n: 1,
                        workers: 1,
                        process,
                        block: process,
                        order,
                        seed: 7,
                        warmup: false,
                        error: None,
                    });
                }
            }
        }
        records
    }

    #[test]
    fn hosts_stand_side_by_side_and_whether_they_agree_is_said() {
        let a = records(&[
            ("wasm", 10_000),
            ("process", 100_000),
            ("docker-none", 100_000_000),
        ]);
        let b = records(&[
            ("wasm", 20_000),
            ("process", 400_000),
            ("docker-none", 200_000_000),
        ]);
        let c = records(&[("wasm", 10_000)]);
        let named = |name: &str, records| Host {
            name: name.into(),
            found: Ok(RunSummary::from_records(records)),
        };
        let lost = Host {
            name: "lost".into(),
            found: Err("the connection was refused".into()),
        };
        let hosts = Hosts::new(vec![named("a", &a), named("a", &b), named("c", &c), lost]);
        let table = hosts.ratios(Design::Isolated);
        assert!(
            table
                .cell("wasm", "a")
                .is_some_and(|c| c.starts_with("10000")),
            "{table:?}"
        );
        assert_eq!(table.cell("wasm", "hosts"), Some("not told apart (x1.00)"));
        assert!(
            table
                .cell("process", "hosts")
                .is_some_and(|c| c.starts_with("differ (x2.00")),
            "{table:?}"
        );
        assert_eq!(table.cell("process", "c"), Some("not asked for"));
        assert_eq!(table.cell("wasm", "c"), Some("no docker-none there"));
        assert_eq!(table.cell("docker-none", "a #2"), Some("1"));
        assert_eq!(table.cell("wasm", "lost"), Some("no run"));
        for form in [hosts.text(Some(200)), hosts.markdown(), hosts.html()] {
            assert!(
                form.contains("the connection was refused") && form.contains("a #2"),
                "{form}"
            );
        }
    }
}
