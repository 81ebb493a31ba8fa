//! How many parked workers fit, and what one more start takes beside them.

use maud::{Markup, html};

use super::super::Section;
use super::super::axis::{Axis, Counts, Scale};
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::words::prose;
use super::super::xy_plot::{NamedAxis, Series, SeriesLook, XyPlot};
use super::viewed::Viewed;
use crate::capacity::{
    ABOUT, CapacityPoint, CapacityRow, EMPTY_AT, headline, on_the_way, sentences,
};
use crate::format::{bytes, count, duration_ns};

const HEADLINE: Legend = &[
    ("runtime", "the rung"),
    ("parked", "workers that were parked when something gave"),
    (
        "gave",
        "what did: limit, memory, slow, failed, ...; the lines below say more",
    ),
    ("empty host", "median of one more start with nothing parked"),
    (
        "beside them",
        "median of one more start beside the most that were parked",
    ),
    ("p99", "99th percentile of the starts to the left"),
    (
        "p99/empty",
        "the 99th percentile beside the most over that on the empty host",
    ),
    (
        "PSS each",
        "share of one parked worker of the PSS of all that holds them",
    ),
    (
        "kernel each",
        "its share of what the kernel's own memory grew by, of the whole host",
    ),
    (
        "available each",
        "its share of what MemAvailable lost, of the whole host",
    ),
];

const ON_THE_WAY: Legend = &[
    ("Parked", "workers that were parked"),
    ("Processes", "processes that hold them"),
    (
        "One more, median",
        "one more start beside them, with its 95 % interval, starts taken for independent",
    ),
    ("p99", "99th percentile of these starts"),
    ("Starts", "how many were made"),
    (
        "Parking one",
        "what parking one of those took that came since the row before",
    ),
    ("PSS", "of all that holds them"),
    (
        "Kernel's",
        "what the kernel's own memory grew by since none was parked",
    ),
    ("MemAvailable lost", "by how much MemAvailable fell since"),
    ("MemAvailable", "what the host says is left"),
    ("Each", "the column to the left, of one parked worker"),
];

/// The section; none without a ramp.
pub(super) fn capacity(viewed: &Viewed<'_>) -> Option<Section> {
    let summary = viewed.summary;
    summary.ramps().next()?;
    let links = |cell: &str| viewed.link(cell);
    let body = html! {
        p { (prose(ABOUT)) }
        (data_table("How many fit", &headline(summary), HEADLINE, &links))
        ul { @for line in sentences(summary) { li { (line) } } }
        div.plots { @for ramp in summary.ramps() {
            (starts(ramp).unwrap_or_default())
            (weights(ramp).unwrap_or_default())
        } }
        @for ramp in summary.ramps() {
            (data_table(&format!("{} on the way", ramp.rung), &on_the_way(ramp), ON_THE_WAY, &links))
        }
    };
    Section::unless_empty("How many fit", body)
}

/// On a logarithmic axis, which has no nought, the empty host is set apart at the left.
fn place(point: &CapacityPoint) -> f64 {
    match point.resident {
        0 => EMPTY_AT,
        resident => resident as f64,
    }
}

fn parked_in_words(place: f64) -> String {
    if place < 1.0 {
        return "none".to_owned();
    }
    count(place)
}

fn starts(ramp: &CapacityRow) -> Option<Markup> {
    let points = ramp.points.iter();
    let medians = points.clone().filter_map(|point| {
        let start = point.start()?;
        Some((place(point), start.median, start.interval))
    });
    let p99s = points.filter_map(|point| Some((place(point), point.p99_ns()?, None)));
    let series = |name: &str, points| Series {
        name: name.to_owned(),
        points,
        look: SeriesLook::Joined,
    };
    let series = vec![
        series("median", medians.collect()),
        series("p99", p99s.collect()),
    ];
    let caption = format!("{}: one more start beside parked workers", ramp.rung);
    plot(
        &caption,
        "one more start",
        series,
        Counts::Tens,
        duration_ns,
    )
}

fn weights(ramp: &CapacityRow) -> Option<Markup> {
    type Weight = fn(&CapacityPoint) -> Option<f64>;
    let kinds: [(&str, Weight); 3] = [
        ("PSS", |point| point.pss_bytes),
        ("kernel's own", |point| point.kernel_bytes),
        ("MemAvailable lost", |point| point.available_lost_bytes),
    ];
    let series = kinds.map(|(name, weight)| {
        let found = ramp.points.iter().filter(|point| point.resident > 0);
        let found = found.filter_map(|point| Some((place(point), weight(point)?, None)));
        Series {
            name: name.to_owned(),
            // A change may be a loss, which has no place on a logarithmic axis.
            points: found.filter(|(_, bytes, _)| *bytes > 0.0).collect(),
            look: SeriesLook::Joined,
        }
    });
    let caption = format!("{}: what parked workers weigh together", ramp.rung);
    plot(&caption, "bytes", series.to_vec(), Counts::Bytes, bytes)
}

fn plot(
    caption: &str,
    of: &str,
    series: Vec<Series>,
    counts: Counts,
    format: fn(f64) -> String,
) -> Option<Markup> {
    let parked = series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let x = Axis::around(Scale::Log, Counts::Tens, parked)?;
    let heights = series.iter().flat_map(Series::heights);
    let y = Axis::around(Scale::Log, counts, heights)?;
    let plot = XyPlot {
        caption,
        words: &format!("{caption}; the table of the way has them"),
        x: NamedAxis {
            name: if series.iter().any(|s| s.points.iter().any(|p| p.0 < 1.0)) {
                "parked workers (leftmost: none)"
            } else {
                "parked workers"
            },
            axis: x,
            format: parked_in_words,
        },
        y: NamedAxis {
            name: of,
            axis: y,
            format,
        },
        series,
        lines: Vec::new(),
        marked: Vec::new(),
    };
    Some(plot.figure())
}
