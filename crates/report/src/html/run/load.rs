//! What starts take at rates of arrivals, and where a rung gives.

use maud::{Markup, html};
use stats::levels::{Estimate, Unchecked};

use super::super::Section;
use super::super::axis::{Axis, Counts, Scale};
use super::super::data_table::data_table;
use super::super::legend::Legend;
use super::super::strips::{Mark, Strip};
use super::super::words::prose;
use super::super::xy_plot::{NamedAxis, Series, SeriesLook, XyPlot};
use super::ladder::figure;
use super::viewed::Viewed;
use crate::format::{count, duration_ns, with_interval};
use crate::load::{
    KEPT, Knee, OPEN_LOOP, RateRow, RungLoad, by_rate, by_rung, generator, introduction,
    kept_by_time, knee, name, reasons,
};

const BY_RUNG: Legend = &[
    (
        "runtime",
        "the rung; leads to the distribution of its starts without load",
    ),
    (
        "closed loop/s",
        "starts a second of as many workers, each of which begins its next start when its last one is torn down",
    ),
    (
        "knee/s",
        "the largest rate at which p99 stays within its limit; 95 % interval by process",
    ),
    ("of closed loop", "the knee over the closed loop"),
    ("p99 limit", "what p99 is to hold"),
    (
        "at/s",
        "the rate nearest to 0.7 of the closed loop, of which the columns to the right are",
    ),
    (
        "p50",
        "half of the starts took no longer, from when they were due until torn down",
    ),
    ("p99", "99 of 100 starts took no longer"),
];

const BY_RATE: Legend = &[
    (
        "runtime",
        "the rung; leads to the distribution of its starts without load",
    ),
    ("offered/s", "arrivals a second, as asked for"),
    ("achieved/s", "starts a second that went well"),
    (
        "p*",
        "that share of starts took no longer, from when they were due until torn down; 95 % interval by process",
    ),
    (
        "queue",
        "arrivals that were due and had not begun, on average / at most",
    ),
    ("CPUs", "CPU time of the scope over wall time"),
    ("starts", "how many were due"),
    (
        "failed",
        "starts that did not go well; they count as longer than any other",
    ),
    (
        "refused",
        "not begun when the time after the last arrival was over; likewise",
    ),
    (
        "late",
        "how late the generator let arrivals go, p99.9; it is in the latencies",
    ),
    (
        "",
        "! the generator was late or short of CPU time in some processes, whose points count nowhere; ~ the host was disturbed; > the rung does not follow",
    ),
];

const KEPT_COLUMNS: Legend = &[
    ("runtime", "the rung"),
    ("function", "what was started"),
    ("offered/s", "arrivals a second, as asked for"),
    ("kept for", "how long a worker stays after its end"),
    ("cold", "share of starts that find none"),
    (
        "workers, mean",
        "workers there, busy or kept, averaged over time",
    ),
    ("at most", "the same at most"),
    (
        "memory",
        "of these on average, by what one more parked worker weighs",
    ),
];

/// The shares that are drawn, and what they are called.
const DRAWN: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

/// The section; none without any point.
pub(super) fn load(viewed: &Viewed<'_>) -> Option<Section> {
    let summary = viewed.summary;
    let loads = summary.loads.as_slice();
    if loads.is_empty() {
        return None;
    }
    let links = |cell: &str| viewed.link(cell);
    let reasons = reasons(loads);
    let body = html! {
        p { (introduction(loads)) " " (OPEN_LOOP) " " (generator(loads).unwrap_or_default()) }
        (knees(viewed, loads))
        (data_table("Under load, by rung", &by_rung(loads), BY_RUNG, &links))
        div.plots { @for load in loads { (curves(load, &name(load, loads)).unwrap_or_default()) } }
        (data_table("Under load, by rate", &by_rate(loads), BY_RATE, &links))
        @let kept = kept_by_time(summary);
        @if !kept.is_empty() {
            p { (KEPT) }
            (data_table("Keeping workers", &kept, KEPT_COLUMNS, &links))
        }
        @if !reasons.is_empty() { ul { @for line in &reasons { li { (prose(line)) } } } }
        p { "The whole histogram of each process at each rate is in load.jsonl." }
    };
    Section::unless_empty("Under load", body)
}

fn knees(viewed: &Viewed<'_>, loads: &[RungLoad]) -> Markup {
    let strip = |load: &RungLoad| {
        let closed = load.closed_loop.as_ref();
        let at = match &load.knee {
            Knee::At(estimate) => Some(Mark::new(0, estimate)),
            Knee::AtLeast(rate) | Knee::Below(rate) => Some(Mark {
                series: 0,
                value: *rate,
                interval: None,
            }),
            Knee::Unknown => None,
        };
        let said = closed.map_or("-".to_owned(), |c| with_interval(c, count));
        Strip {
            name: name(load, loads),
            link: viewed.link(&load.rung),
            marks: at
                .into_iter()
                .chain(closed.map(|c| Mark::new(1, c)))
                .collect(),
            words: format!("{} | {said}", knee(&load.knee)),
        }
    };
    figure(
        "Starts a second that a rung holds: its knee, and its closed loop",
        &["knee", "closed loop"].map(str::to_owned),
        loads.iter().map(strip).collect(),
        Counts::Tens,
        count,
    )
}

fn curves(load: &RungLoad, name: &str) -> Option<Markup> {
    let series: Vec<Series> = DRAWN
        .iter()
        .map(|share| curve(&load.rates, *share))
        .collect();
    let rates = series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let x = Axis::around(Scale::Log, Counts::Tens, rates)?;
    let limit = load.slo_ns as f64;
    let heights = series.iter().flat_map(Series::heights);
    let y = Axis::around(Scale::Log, Counts::Tens, heights.chain([limit]))?;
    let knee_at = match &load.knee {
        Knee::At(estimate) => Some(estimate.value),
        _ => None,
    };
    let said = format!(
        "p99 is to stay within {}, knee {}/s",
        duration_ns(limit),
        knee(&load.knee)
    );
    let plot = XyPlot {
        caption: &format!("{name}: a start over the rate of arrivals; {said} (dashed)"),
        words: &format!(
            "{name}: percentiles of starts at {} rates, which the table has; {said}",
            load.rates.len()
        ),
        x: NamedAxis {
            name: "arrivals a second",
            axis: x,
            format: count,
        },
        y: NamedAxis {
            name: "from due to torn down",
            axis: y,
            format: duration_ns,
        },
        series,
        lines: vec![[(x.value_at(0.0), limit), (x.value_at(1.0), limit)]],
        marked: knee_at.into_iter().collect(),
    };
    Some(plot.figure())
}

/// One share over the rates, where there are enough starts for it and it ended.
fn curve(rates: &[RateRow], (share, name): (f64, &str)) -> Series {
    let known = |row: &RateRow| -> Option<(f64, Estimate)> {
        let found = row.quantile(share)?;
        let is_too_few = matches!(found.interval, Err(Unchecked::TooFewStarts { .. }));
        (found.value.is_finite() && !is_too_few).then_some((row.offered_per_s, found))
    };
    let points = rates.iter().filter_map(known).map(|(rate, found)| {
        let interval = found.interval.ok().filter(|i| i.hi.is_finite());
        (rate, found.value, interval)
    });
    Series {
        name: name.to_owned(),
        points: points.collect(),
        look: SeriesLook::Joined,
    }
}
