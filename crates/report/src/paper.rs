//! A run beside the figures that Faasm's authors published (Shillaker & Pietzuch, "Faasm: Lightweight Isolation for Efficient Stateful
//! Serverless Computing", USENIX ATC 2020): as ratios to Docker of the same column, for absolute figures of another machine say nothing.

use table::{Align, Table};

use crate::format::{bytes, count, duration_ns, ratio};
use crate::html::legend::Legend;
use crate::load::Knee;
use crate::memory::Quantity;
use crate::summary::{RunSummary, RungSummary};

/// What asks for them.
const WITH_PAPER: &str = "--with-paper";
/// Where the figures come from.
pub(crate) const SOURCE: &str = "Published: Shillaker & Pietzuch, \"Faasm: Lightweight Isolation for Efficient Stateful Serverless Computing\", USENIX ATC 2020, its comparison of \
     containers and Faaslets (no-op, churn, Python no-op) on an Intel Xeon E3-1220 with four cores. Another machine, another kernel, another year: only the two columns of ratios to Docker are to be compared, \
     and where definitions differ not even these without a thought.";

/// What columns mean.
pub(crate) const LEGEND: Legend = &[
    ("quantity", "what is compared"),
    ("published of", "whose figure it is"),
    ("published", "the published figure"),
    (
        "to its Docker",
        "how many times better than the published figure of Docker",
    ),
    ("here of", "the rung of this run that stands beside it"),
    ("here", "this run's figure"),
    (
        "to docker here",
        "how many times better than docker in this run",
    ),
    (
        "how definitions differ",
        "what either side counts and the other does not",
    ),
];

/// What was published of a way to run functions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    /// The original's name for it.
    pub name: &'static str,
    /// The rungs that can stand beside it, the nearest first. Docker as it starts by default has a bridge.
    rungs: &'static [&'static str],
    /// What a start of the no-op takes, while starts are few.
    pub start_ns: f64,
    /// PSS of one.
    pss_bytes: f64,
    /// Up to how many starts a second it follows.
    pub follows_to_per_s: f64,
    /// What a start of Python's no-op takes.
    python_start_ns: Option<f64>,
}

const DOCKER: Published = Published {
    name: "Docker",
    rungs: &["docker-bridge", "docker-none"],
    start_ns: 2.8e9,
    pss_bytes: 1.3e6,
    follows_to_per_s: 3.0,
    python_start_ns: Some(3.2e9),
};

/// All of them.
pub(crate) const PUBLISHED: [Published; 3] = [
    DOCKER,
    Published {
        name: "Faaslet",
        rungs: &["faaslet"],
        start_ns: 5.2e6,
        pss_bytes: 200e3,
        follows_to_per_s: 600.0,
        python_start_ns: None,
    },
    Published {
        name: "Proto-Faaslet",
        rungs: &["proto-faaslet"],
        start_ns: 0.5e6,
        pss_bytes: 90e3,
        follows_to_per_s: 4000.0,
        python_start_ns: Some(0.9e6),
    },
];

/// A quantity of which something was published.
struct Figure {
    quantity: &'static str,
    published: fn(&Published) -> Option<f64>,
    /// Of a rung of a run.
    here: fn(&RunSummary<'_>, &RungSummary<'_>) -> Option<f64>,
    format: fn(f64) -> String,
    /// As it was published: memory in powers of ten.
    published_format: fn(f64) -> String,
    is_better_larger: bool,
    /// The function that a run is to have started.
    function: Option<&'static str>,
    differs: &'static str,
}

const FIGURES: [Figure; 5] = [
    Figure {
        quantity: "no-op start",
        published: |of| Some(of.start_ns),
        here: isolated_ns,
        format: duration_ns,
        published_format: duration_ns,
        is_better_larger: false,
        function: Some("demo/noop"),
        differs: "published: initialisation until the function may run; here: asked for to torn down, isolated",
    },
    Figure {
        quantity: "PSS",
        published: |of| Some(of.pss_bytes),
        here: |_, rung| Some(rung.fit(&Quantity::PSS)?.slope),
        format: bytes,
        published_format: in_powers_of_ten,
        is_better_larger: false,
        function: None,
        differs: "published: PSS of an idle one; here: the slope over parked workers, engine and daemon apart",
    },
    Figure {
        quantity: "starts/s, open loop",
        published: |of| Some(of.follows_to_per_s),
        here: knee_per_s,
        format: count,
        published_format: count,
        is_better_larger: true,
        function: None,
        differs: "published: the highest rate of cold starts before latency rises; here: the largest rate at which p99 stays within its limit",
    },
    Figure {
        quantity: "starts/s, closed loop",
        published: |of| Some(of.follows_to_per_s),
        here: |_, rung| most_per_s(rung),
        format: count,
        published_format: count,
        is_better_larger: true,
        function: Some("demo/noop"),
        differs: "published: as above; here: the most of a closed loop, in which nothing waits: an upper end",
    },
    Figure {
        quantity: "Python no-op start",
        published: |of| of.python_start_ns,
        here: isolated_ns,
        format: duration_ns,
        published_format: duration_ns,
        is_better_larger: false,
        function: Some("python/noop"),
        differs: "published: CPython of 2020 by another engine, Docker with an image of its own; here: one CPython on both sides",
    },
];

fn isolated_ns(_: &RunSummary<'_>, rung: &RungSummary<'_>) -> Option<f64> {
    Some(rung.time.as_ref()?.isolated.as_ref()?.median.value)
}

fn most_per_s(rung: &RungSummary<'_>) -> Option<f64> {
    let rates = rung.time.as_ref()?.throughput.iter().map(|t| t.rate.value);
    rates.max_by(f64::total_cmp)
}

fn knee_per_s(summary: &RunSummary<'_>, rung: &RungSummary<'_>) -> Option<f64> {
    let load = summary.loads.iter().find(|load| load.rung == rung.rung)?;
    match &load.knee {
        Knee::At(found) => Some(found.value),
        Knee::AtLeast(_) | Knee::Below(_) | Knee::Unknown => None,
    }
}

fn in_powers_of_ten(bytes: f64) -> String {
    if bytes >= 1e6 {
        format!("{:.1} MB", bytes / 1e6)
    } else {
        format!("{:.0} KB", bytes / 1e3)
    }
}

impl Figure {
    /// How many times better `value` is than `docker`.
    fn better(&self, value: f64, docker: f64) -> f64 {
        if self.is_better_larger {
            value / docker
        } else {
            docker / value
        }
    }

    /// The first rung of this run that can stand beside `published`, with its figure.
    fn of_run<'a>(
        &self,
        summary: &'a RunSummary<'_>,
        published: &Published,
    ) -> Option<(&'a str, f64)> {
        published.rungs.iter().find_map(|id| {
            let rung = summary.rung(id)?;
            let ran = rung.time.as_ref().map(|time| time.function.as_str());
            if self.function.is_some() && ran != self.function {
                return None;
            }
            let value = (self.here)(summary, rung)?;
            (value > 0.0).then_some((rung.rung, value))
        })
    }
}

/// Whether the run, or who makes its report, asked for them.
pub(crate) fn is_asked_for(summary: &RunSummary<'_>) -> bool {
    summary.with_paper || summary.records.was_asked_for(WITH_PAPER)
}

/// The published rows with this run's beside them; rows of which this run has nothing are kept, and say so.
#[must_use]
pub fn beside_the_paper(summary: &RunSummary<'_>) -> Table {
    let mut table = Table::new(&[
        ("quantity", Align::Left),
        ("published of", Align::Left),
        ("published", Align::Right),
        ("to its Docker", Align::Right),
        ("here of", Align::Left),
        ("here", Align::Right),
        ("to docker here", Align::Right),
        ("how definitions differ", Align::Left),
    ]);
    for figure in &FIGURES {
        let Some(its_docker) = (figure.published)(&DOCKER) else {
            continue;
        };
        let docker_here = figure.of_run(summary, &DOCKER);
        for of in &PUBLISHED {
            let Some(value) = (figure.published)(of) else {
                continue;
            };
            let ours = figure.of_run(summary, of);
            let over = ours.zip(docker_here);
            table.row([
                figure.quantity.to_owned(),
                of.name.to_owned(),
                (figure.published_format)(value),
                ratio(figure.better(value, its_docker)),
                ours.map_or("-", |(rung, _)| rung).to_owned(),
                ours.map_or("not in this run".to_owned(), |(_, value)| {
                    (figure.format)(value)
                }),
                over.map_or("-".to_owned(), |((_, ours), (_, docker))| {
                    ratio(figure.better(ours, docker))
                }),
                figure.differs.to_owned(),
            ]);
        }
    }
    table
}

/// The section of `report.md`.
pub(crate) fn section(summary: &RunSummary<'_>) -> String {
    format!(
        "## Beside the original's figures\n\n{SOURCE}\n\n{}\n",
        beside_the_paper(summary).markdown()
    )
}
