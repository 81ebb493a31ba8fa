//! `report.html` of a comparison: a view is a function here and a line in [`VIEWS`].

use std::collections::BTreeMap;

use maud::{Markup, html};
use report::html::axis::Counts;
use report::html::data_table::{NO_LINKS, data_table};
use report::html::distribution::{Kind, distribution};
use report::html::legend::Legend;
use report::html::samples::Samples;
use report::html::strips::{Look, Mark, Strip, on_log_axis};
use report::html::words::{bullets, part_ids, prose};
use report::html::{Page, Section, concerns, environment_section};
use report::{TORN, as_typed, duration_ns, host_table, measured_on, ratio};
use stats::levels::Estimate;

use super::curve;
use super::markdown::{how_lines, odd_lines, suffix};
use super::records::{Comparison, disturbances};
use super::rows::{Mean, Row, common_against, means};
use super::summary_file::means_table;
use super::table::{aa, builds, host, interval, times, troubles, with_interval};

const TIMES: Legend = &[
    ("benchmark", "leads to its distribution"),
    (
        "best native kernel",
        "one run of the kernel in the fastest native build, by the program's own clock: median over processes",
    ),
    ("* kernel", "one run of the kernel in this column, likewise"),
    (
        "best native",
        "which of the native builds was the fastest, by runs that are not reported",
    ),
    (
        "*/*",
        "ratio of kernel times with its 95 % interval: above 1 slower",
    ),
    (
        "whole run",
        "ratio of whole runs, process start and end included",
    ),
    (
        "runs",
        "processes that were timed, of each column where these differ",
    ),
    ("repeats", "how often the kernel runs in one process"),
];
const MEANS: Legend = &[
    ("column", "what is compared"),
    ("against", "what it is held against"),
    ("benchmarks", "how many have a ratio"),
    (
        "geometric mean",
        "of their ratios of kernel times: above 1 slower",
    ),
    (
        "these benchmarks again",
        "95 % interval if the same benchmarks are run again",
    ),
    (
        "benchmarks drawn like these",
        "95 % interval for benchmarks of which these are a sample",
    ),
    ("whole run", "geometric mean of the ratios of whole runs"),
    ("largest", "the largest ratio"),
    ("of", "the benchmark that has it"),
];
const BUILDS: Legend = &[
    (
        "fastest",
        "the build that the other columns are held against",
    ),
    (
        "native*",
        "kernel time of this native build; where only the fastest was timed, of the runs that chose it",
    ),
    ("benchmark", "leads to its distribution"),
];
const CURVE: Legend = &[
    ("benchmark", "leads to its distribution"),
    ("column", "what ran it"),
    ("iteration *", "median over processes of this iteration"),
    (
        "steady from",
        "the iteration from which on all are near the level of the second half",
    ),
    ("steady", "median of those, with its 95 % interval"),
    ("first/steady", "the first iteration over that"),
];
const HOST: Legend = &[
    ("Benchmark", "whose blocks were watched"),
    ("Blocks", "blocks that were watched"),
    ("Disturbed", "of these, disturbed"),
    ("Share", "of those that were long enough to tell"),
    (
        "Too short to tell",
        "blocks shorter than what the host's counters tell apart",
    ),
    ("By", "what disturbed how many"),
];

/// What a view is made from.
struct Viewed<'a> {
    comparison: &'a Comparison,
    rows: &'a [Row<'a>],
    means: Vec<Mean<'a>>,
    /// The id of each benchmark's own part.
    ids: BTreeMap<&'a str, String>,
}

/// Makes what the records have something for.
enum View {
    /// A section.
    One(fn(&Viewed<'_>) -> Option<Section>),
    /// A section for each group.
    OfGroups(fn(&Viewed<'_>) -> Vec<Section>),
}

/// In the order of the page.
const VIEWS: &[View] = &[
    View::One(not_measured),
    View::One(mean_ratios),
    View::One(against_itself),
    View::OfGroups(groups),
    View::One(iterations),
    View::One(benchmarks),
    View::One(odd),
    View::One(host_meanwhile),
    View::One(procedure),
    View::One(|v| environment_section(v.comparison.records.environment.as_ref())),
];

impl View {
    fn sections(&self, viewed: &Viewed<'_>) -> Vec<Section> {
        match self {
            Self::One(make) => make(viewed).into_iter().collect(),
            Self::OfGroups(make) => make(viewed),
        }
    }
}

/// The page.
pub(super) fn render(comparison: &Comparison, rows: &[Row<'_>]) -> String {
    let names = rows.iter().map(|row| row.benchmark.name.as_str());
    let viewed = Viewed {
        comparison,
        rows,
        means: means(comparison, rows),
        ids: part_ids("benchmark", names),
    };
    let info = &comparison.info;
    let environment = comparison.records.environment.as_ref();
    let mut warnings: Vec<String> = info
        .ended
        .iter()
        .map(|why| format!("it did not come to its end: {why}"))
        .collect();
    if comparison.records.torn {
        warnings.push(TORN.to_owned());
    }
    warnings.extend(concerns(environment));
    let mut facts = vec![("Run".to_owned(), info.run.clone())];
    facts.extend(environment.map(|host| ("Measured on".to_owned(), measured_on(host))));
    facts.push((
        "Command line".to_owned(),
        format!("`{}`", as_typed(&info.command_line)),
    ));
    facts.push(("Seed".to_owned(), info.seed.to_string()));
    facts.retain(|(_, words)| !words.is_empty());
    let page = Page {
        title: info.title.clone(),
        facts,
        warnings,
        sections: VIEWS
            .iter()
            .flat_map(|view| view.sections(&viewed))
            .collect(),
        samples: Samples::from_records(&comparison.records.samples),
    };
    page.render()
}

impl Viewed<'_> {
    fn link(&self, benchmark: &str) -> Option<String> {
        self.ids.get(benchmark).map(|id| format!("#{id}"))
    }
}

fn not_measured(viewed: &Viewed<'_>) -> Option<Section> {
    let body = bullets(&troubles(viewed.comparison, viewed.rows, "- "));
    Section::unless_empty("Not measured, or not to the end", body)
}

fn mean_ratios(viewed: &Viewed<'_>) -> Option<Section> {
    if viewed.means.is_empty() {
        return None;
    }
    let comparison = viewed.comparison;
    let strip = |mean: &Mean<'_>| Strip {
        name: format!("{}/{}{}", mean.column, mean.against, suffix(mean.group)),
        link: None,
        marks: vec![Mark {
            series: 0,
            value: mean.kernel.mean,
            interval: mean.kernel.these_again.ok(),
        }],
        words: format!(
            "{} {}",
            ratio(mean.kernel.mean),
            interval(mean.kernel.these_again)
        ),
    };
    let strips: Vec<Strip> = viewed.means.iter().map(strip).collect();
    let body = html! {
        (bars("Geometric means of ratios of kernel times, from 1: to the right slower", &[], strips))
        @for group in comparison.groups() {
            @let found: Vec<&Mean<'_>> = viewed.means.iter().filter(|m| m.group == group).collect();
            @if !found.is_empty() {
                (data_table(&format!("Means{}", suffix(group)), &means_table(&found), MEANS, NO_LINKS))
            }
        }
    };
    Section::unless_empty("Means", body)
}

/// Bars from 1 on a logarithmic axis: twice as fast and twice as slow are as long.
fn bars(caption: &str, series: &[String], strips: Vec<Strip>) -> Markup {
    let axis = (Counts::Tens, [0.95, 1.05]);
    on_log_axis(caption, series, strips, axis, ratio, Look::BarsFrom(1.0))
}

fn against_itself(viewed: &Viewed<'_>) -> Option<Section> {
    let words = aa(viewed.comparison, viewed.rows);
    let body = html! { @if !words.is_empty() { p { (words) } } };
    Section::unless_empty("A/A", body)
}

/// Of each group (a dataset) its ratios as bars, its times, and its native builds.
fn groups(viewed: &Viewed<'_>) -> Vec<Section> {
    let comparison = viewed.comparison;
    let links = |cell: &str| viewed.link(cell);
    let section = |group: &str| {
        let body = html! {
            (ratio_bars(viewed, group))
            (data_table(&format!("Times{}", suffix(group)), &times(comparison, group, viewed.rows), TIMES, &links))
            @if let Some(builds) = builds(comparison, group, viewed.rows) {
                (data_table(&format!("Native builds{}", suffix(group)), &builds, BUILDS, &links))
            }
        };
        Section::unless_empty(&format!("Times{}", suffix(group)), body)
    };
    comparison
        .groups()
        .into_iter()
        .filter_map(section)
        .collect()
}

fn ratio_bars(viewed: &Viewed<'_>, group: &str) -> Markup {
    let of_group: Vec<&Row<'_>> = viewed
        .rows
        .iter()
        .filter(|r| r.benchmark.group == group)
        .collect();
    let info = &viewed.comparison.info;
    let columns: Vec<&str> = info
        .compared()
        .map(|column| column.name.as_str())
        .filter(|column| {
            of_group
                .iter()
                .any(|row| kernel_ratio(row, column).is_some())
        })
        .collect();
    let series: Vec<String> = columns
        .iter()
        .map(|column| {
            format!(
                "{column}/{}",
                common_against(column, &of_group).unwrap_or_default()
            )
        })
        .collect();
    let strips = of_group.iter().map(|row| {
        let found = columns.iter().enumerate();
        let found: Vec<(usize, Estimate)> = found
            .filter_map(|(at, column)| Some((at, kernel_ratio(row, column)?)))
            .collect();
        let words: Vec<String> = found
            .iter()
            .map(|(_, ratio)| with_interval(*ratio))
            .collect();
        Strip {
            name: row.benchmark.name.clone(),
            link: viewed.link(&row.benchmark.name),
            marks: found
                .iter()
                .map(|(series, ratio)| Mark::new(*series, ratio))
                .collect(),
            words: words.join(" | "),
        }
    });
    let strips: Vec<Strip> = strips.filter(|strip| !strip.marks.is_empty()).collect();
    bars(
        &format!(
            "Ratios of kernel times{}, from 1: to the right slower",
            suffix(group)
        ),
        &series,
        strips,
    )
}

fn kernel_ratio(row: &Row<'_>, column: &str) -> Option<Estimate> {
    row.cell(column)?.kernel.ratio
}

fn iterations(viewed: &Viewed<'_>) -> Option<Section> {
    let table = curve::table(viewed.comparison)?;
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        (data_table("Iteration by iteration", &table, CURVE, &links))
        p { (curve::ABOUT) }
    };
    Section::unless_empty("Iteration by iteration", body)
}

/// Each benchmark by itself.
fn benchmarks(viewed: &Viewed<'_>) -> Option<Section> {
    let part = |row: &Row<'_>| {
        let kinds: Vec<Kind<'_>> = row
            .cells
            .iter()
            .filter_map(|cell| {
                Some(Kind {
                    name: cell.column,
                    levels: cell.kernel.levels.as_ref()?,
                })
            })
            .collect();
        let id = viewed.ids.get(row.benchmark.name.as_str())?;
        (!kinds.is_empty()).then(|| {
            html! {
                article id=(id) aria-labelledby={ (id) "-heading" } {
                    h3 id={ (id) "-heading" } { (row.benchmark.name) }
                    div.plots { (distribution("Kernel times", "runs", &kinds, duration_ns)) }
                }
            }
        })
    };
    let parts: Vec<Markup> = viewed.rows.iter().filter_map(part).collect();
    let body = html! {
        @if !parts.is_empty() { p { "How the kernel times of each benchmark are distributed, and in which order they came." } }
        @for part in parts { (part) }
    };
    Section::unless_empty("Benchmark by benchmark", body)
}

fn odd(viewed: &Viewed<'_>) -> Option<Section> {
    Section::unless_empty(
        "What is odd about the kernel times",
        bullets(&odd_lines(viewed.rows)),
    )
}

fn host_meanwhile(viewed: &Viewed<'_>) -> Option<Section> {
    let words = host(viewed.comparison);
    let mut found = disturbances(viewed.comparison);
    found.retain(|_, host| host.disturbed > 0);
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        @if !words.is_empty() { p { (words) } }
        (data_table("Benchmarks whose blocks were disturbed", &host_table("Benchmark", &found), HOST, &links))
    };
    Section::unless_empty("The host meanwhile", body)
}

fn procedure(viewed: &Viewed<'_>) -> Option<Section> {
    let info = &viewed.comparison.info;
    let body = html! {
        (bullets(&how_lines(viewed.comparison)))
        @for column in &info.columns {
            details.facts {
                summary { (column.name) }
                p { (prose(&column.summary)) }
                ul { @for setting in &column.settings { li { (prose(setting)) } } }
            }
        }
        details.samples hidden data-rung="" data-file="samples.csv" { summary { "Every sample of the run" } }
    };
    Section::unless_empty("How it was measured", body)
}
