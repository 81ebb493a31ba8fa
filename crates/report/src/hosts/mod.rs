//! Runs of several hosts joined: rungs over hosts, each row's ratio to docker on each, and whether hosts agree. Times of different hosts are not
//! divided by one another; ratios within a host are what travels.

mod page;

use stats::CONFIDENCE;
use stats::agreement::agreement;
use stats::levels::Estimate;
use table::{Align, Table};

use crate::format::{
    UNCHECKED, duration_ns, legend_line, ratio, unavailable_because, with_interval,
};
use crate::memory::{Quantity, fit_off_by};
use crate::summary::{RunSummary, RungSummary};
use crate::summary_file::measured_on;
use crate::time::{Design, REFERENCE};

/// The column that says whether hosts agree.
const AGREE: &str = "hosts";
/// The table of memory.
const WEIGHTS: &str = "PSS of one more parked worker";

/// What one host's run says.
#[derive(Debug)]
pub struct Host<'a> {
    /// What it is called in the tables.
    pub name: String,
    /// What it found.
    pub found: Result<RunSummary<'a>, NoRun>,
    /// What else is to be known of it or its run; empty if nothing is.
    pub note: String,
}

/// Why a host has no figures, in the words of whoever found it so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRun {
    /// It made no run.
    #[error("{0}")]
    NotMade(String),
    /// Its records cannot be read.
    #[error("{0}")]
    Unreadable(String),
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

    /// A row for each rung of which a host has what `is_there` looks for.
    fn table(
        &self,
        last: Option<&str>,
        is_there: impl Fn(&RungSummary<'_>) -> bool,
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
            let mut of_hosts = self.hosts.iter().filter_map(|host| host.rung(rung));
            if of_hosts.any(&is_there) {
                table.row(std::iter::once(rung.to_owned()).chain(cells(rung)));
            }
        }
        table
    }

    /// Each rung's ratio to docker on each host, and whether they agree.
    #[must_use]
    pub fn ratios(&self, design: Design) -> Table {
        let is_there = |rung: &RungSummary<'_>| median_of(rung, design).is_some();
        self.table(Some(AGREE), is_there, |rung| {
            let cell = |host: &Host<'_>| match host.ratio(rung, design) {
                Some(found) => with_interval(&found, ratio),
                None if rung == REFERENCE && host.median(rung, design).is_some() => "1".to_owned(),
                None => host.why_not(rung),
            };
            let agree = self.agreement(rung, design);
            self.hosts.iter().map(cell).chain([agree]).collect()
        })
    }

    /// Whether all hosts have one ratio of `rung` to docker, in words; empty where fewer than two have one.
    fn agreement(&self, rung: &str, design: Design) -> String {
        let rows = self.rungs().len().max(1) as f64;
        let ratios = self.hosts.iter().filter_map(|h| h.ratio(rung, design));
        judged(&ratios.collect::<Vec<_>>(), (1.0 - CONFIDENCE) / rows)
    }

    /// Each rung's median on each host.
    #[must_use]
    pub fn medians(&self, design: Design) -> Table {
        let is_there = |rung: &RungSummary<'_>| median_of(rung, design).is_some();
        self.table(None, is_there, |rung| {
            let cell = |host: &Host<'_>| match host.median(rung, design) {
                Some(median) => with_interval(&median, duration_ns),
                None => host.why_not(rung),
            };
            self.hosts.iter().map(cell).collect()
        })
    }

    /// What one more parked worker of each rung weighs on each host.
    #[must_use]
    pub fn weights(&self) -> Table {
        let is_there = |rung: &RungSummary<'_>| rung.fit(&Quantity::PSS).is_some();
        self.table(None, is_there, |rung| {
            let cell = |host: &Host<'_>| match host.rung(rung).and_then(|r| r.fit(&Quantity::PSS)) {
                Some(fit) => fit_off_by(&fit),
                None => host.why_not(rung),
            };
            self.hosts.iter().map(cell).collect()
        })
    }

    /// What each host is, or why it has nothing.
    fn words(&self) -> Vec<(String, String)> {
        let words = |host: &Host<'_>| {
            let found = match &host.found {
                Err(why) => format!("nothing: {why}"),
                Ok(summary) => {
                    let environment = summary.records.environment.as_ref();
                    environment.map_or_else(|| "no environment.json".to_owned(), measured_on)
                }
            };
            if host.note.is_empty() {
                return found;
            }
            format!("{found}; {}", host.note)
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
        let weights = self.weights();
        if !weights.is_empty() {
            text += &format!("{WEIGHTS}\n{}\n", weights.text(width));
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
        let weights = self.weights();
        if !weights.is_empty() {
            text += &format!("\n## {WEIGHTS}\n\n{}", weights.markdown());
        }
        text
    }
}

impl<'a> Host<'a> {
    fn rung(&self, id: &str) -> Option<&RungSummary<'a>> {
        self.found.as_ref().ok()?.rung(id)
    }

    fn median(&self, rung: &str, design: Design) -> Option<Estimate> {
        median_of(self.rung(rung)?, design)
    }

    fn ratio(&self, rung: &str, design: Design) -> Option<Estimate> {
        let time = self.rung(rung)?.time.as_ref()?;
        time.design(design)?.reference_over_this
    }

    /// Why it has no value for `rung`.
    fn why_not(&self, rung: &str) -> String {
        if self.found.is_err() {
            return "no run".to_owned();
        }
        let Some(rung) = self.rung(rung) else {
            return "not asked for".to_owned();
        };
        let time = rung.time.as_ref();
        let failed = time.and_then(|time| time.first_error.as_deref());
        match rung.unavailable.or(failed) {
            Some(why) => unavailable_because(why),
            None if time.is_some() => "no docker-none there".to_owned(),
            None => "not measured".to_owned(),
        }
    }
}

fn median_of(rung: &RungSummary<'_>, design: Design) -> Option<Estimate> {
    Some(rung.time.as_ref()?.design(design)?.median)
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
            note: format!("kind {name}"),
        };
        let lost = Host {
            name: "lost".into(),
            found: Err(NoRun::NotMade("the connection was refused".into())),
            note: String::new(),
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
            assert!(form.contains("no environment.json; kind a"), "{form}");
        }
    }
}
