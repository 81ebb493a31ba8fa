//! How starts per second grow with workers, and what the fitted law says of it.

use maud::{Markup, html};

use super::super::Section;
use super::super::axis::{Axis, Counts, Scale};
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::xy_plot::{NamedAxis, Series, SeriesLook, XyPlot};
use super::viewed::Viewed;
use crate::format::count;
use crate::markdown::scaling::{ABOUT, table};
use crate::scaling_plot::is_scaling;
use crate::time::{TimeRow, scalability};

/// Of the law's line.
const LINE_POINTS: usize = 40;

const COLUMNS: Legend = &[
    ("Runtime", "the rung; leads to its distribution"),
    ("By one", "starts per second by one worker"),
    (
        "By *",
        "starts per second by so many workers over those by one",
    ),
    (
        "Contention",
        "share of the work that one worker at a time does",
    ),
    (
        "Coherence",
        "what each pair of workers adds for keeping in step, as a share of the work",
    ),
    ("Best", "number of workers beyond which more do less"),
    ("Off", "root mean square by which the rates miss the law"),
];

/// The section; none for a run of another profile.
pub(super) fn scaling(viewed: &Viewed<'_>) -> Option<Section> {
    let summary = viewed.summary;
    if !is_scaling(summary) {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (ABOUT) }
        div.plots { @for row in summary.times() { (curve(row).unwrap_or_default()) } }
        (data_table("Scaling", &table(summary), COLUMNS, &links))
    };
    Section::unless_empty("Scaling", body)
}

fn curve(row: &TimeRow) -> Option<Markup> {
    let measured = Series {
        name: "measured".to_owned(),
        points: row
            .throughput
            .iter()
            .map(|t| (f64::from(t.workers), t.rate.value, t.rate.interval.ok()))
            .collect(),
        look: SeriesLook::Points,
    };
    let workers = || measured.points.iter().map(|point| point.0);
    let x = Axis::around(Scale::Log, Counts::Tens, workers())?;
    let (least, most) = (
        workers().fold(f64::MAX, f64::min),
        workers().fold(0.0, f64::max),
    );
    let law = scalability(&row.throughput).map(|fit| {
        let at = |step: usize| {
            let workers = least * (most / least).powf(step as f64 / LINE_POINTS as f64);
            (workers, fit.rate_at(workers), None)
        };
        Series {
            name: "fitted law".to_owned(),
            points: (0..=LINE_POINTS).map(at).collect(),
            look: SeriesLook::Line,
        }
    });
    let y = Axis::around(Scale::Log, Counts::Tens, measured.heights())?;
    let mut series = vec![measured];
    series.extend(law);
    let plot = XyPlot {
        caption: &format!("{}: starts per second over workers", row.rung),
        words: &format!(
            "Starts per second of {} by {} numbers of workers; the table has them",
            row.rung,
            row.throughput.len()
        ),
        x: NamedAxis {
            name: "workers",
            axis: x,
            format: count,
        },
        y: NamedAxis {
            name: "starts per second",
            axis: y,
            format: count,
        },
        series,
        lines: Vec::new(),
        marked: Vec::new(),
    };
    Some(plot.figure())
}
