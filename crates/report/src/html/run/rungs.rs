//! Each rung by itself: how its starts are distributed, in which order they came, what they are made of, what its workers weigh.

use maud::{Markup, html};
use measure_core::contract::vocabulary::phase::TOTAL;
use stats::levels::Levels;

use super::super::Section;
use super::super::axis::{Axis, Counts, Scale};
use super::super::distribution::{Kind, distribution};
use super::super::strips::{Part, stacked_bar};
use super::super::words::slug;
use super::super::xy_plot::{NamedAxis, Series, SeriesLook, XyPlot};
use super::viewed::Viewed;
use crate::format::{bytes, duration_ns, with_interval};
use crate::letters::isolates;
use crate::memory::{MemoryRow, Quantity, fit_bytes};
use crate::summary::RungSummary;
use crate::time::{Design, PhaseRow, levels_of};

/// Those of an old run among them, which were not told apart.
const DESIGNS: [Design; 3] = [Design::Isolated, Design::BackToBack, Design::Pooled];

/// All of them.
pub(super) fn rungs(viewed: &Viewed<'_>) -> Option<Section> {
    if viewed.ids.is_empty() {
        return None;
    }
    let rungs = viewed.summary.rungs.iter().filter_map(|rung| {
        let id = viewed.ids.get(rung.rung)?;
        Some((rung, id))
    });
    let rungs: Vec<_> = rungs.collect();
    let body = html! {
        p { "For each rung: how its starts are distributed, in which order they came (drift and modes show there), their phases, and what its parked workers weigh." }
        ul.rungs { @for (rung, id) in &rungs { li { a href={ "#" (id) } { (rung.rung) } } } }
        @for (rung, id) in &rungs { (one_rung(rung, id)) }
    };
    Section::unless_empty("Rung by rung", body)
}

fn one_rung(rung: &RungSummary<'_>, id: &str) -> Markup {
    let heading = format!("{id}-heading");
    html! {
        article id=(id) aria-labelledby=(heading) {
            h3 id=(heading) { (rung.rung) }
            p { (about(rung)) }
            div.plots {
                (starts(rung))
                (memory(rung))
                (phases(rung))
            }
            details.samples hidden data-rung=(rung.rung) data-file={ "samples-" (slug(rung.rung)) ".csv" } {
                summary { "Samples of " (rung.rung) }
            }
        }
    }
}

fn about(rung: &RungSummary<'_>) -> String {
    let info = rung.info.map(|info| &info.description);
    let what = info.map(|is| format!("{}, {}", is.summary, is.engine));
    let letters = isolates(rung);
    let letters = (!letters.is_empty()).then(|| format!("isolates {letters}"));
    what.into_iter()
        .chain(letters)
        .collect::<Vec<_>>()
        .join("; ")
}

fn starts(rung: &RungSummary<'_>) -> Markup {
    let found: Vec<(String, Levels)> = DESIGNS
        .into_iter()
        .filter_map(|design| {
            let levels = levels_of(&rung.samples, design, TOTAL)?;
            Some((design.to_string(), levels))
        })
        .collect();
    let kinds: Vec<Kind<'_>> = found
        .iter()
        .map(|(name, levels)| Kind { name, levels })
        .collect();
    distribution("Starts", "starts", &kinds, duration_ns)
}

fn phases(rung: &RungSummary<'_>) -> Markup {
    let part = |phase: &PhaseRow| Part {
        name: phase.name.clone(),
        share: phase.share,
        words: format!(
            "{:.1} %, median {}",
            100.0 * phase.share,
            with_interval(&phase.median, duration_ns)
        ),
    };
    let designs = Design::ALL.into_iter().filter_map(|design| {
        let row = rung.time.as_ref()?.design(design)?;
        let caption = format!("Phases of a start, {design}: shares of the mean");
        Some((caption, row.phases.iter().map(part).collect::<Vec<_>>()))
    });
    html! {
        @for (caption, parts) in designs { (stacked_bar(&caption, &parts)) }
    }
}

fn memory(rung: &RungSummary<'_>) -> Markup {
    let mut rows = rung.memory.iter();
    let Some(row) = rows.find(|row| row.quantity == Quantity::PSS && !row.points.is_empty()) else {
        return html! {};
    };
    points_with_line(row).unwrap_or_default()
}

fn points_with_line(row: &MemoryRow) -> Option<Markup> {
    let workers = row.points.iter().map(|&(workers, _)| workers as f64);
    let x = Axis::around(Scale::Linear, Counts::Tens, workers.clone().chain([0.0]))?;
    let weights = row.points.iter().map(|&(_, weight)| weight);
    let y = Axis::around(Scale::Linear, Counts::Bytes, weights.chain([0.0]))?;
    let most = workers.fold(0.0, f64::max);
    let line = row.fit.map(|fit| {
        let at = |workers: f64| (workers, fit.intercept + fit.slope * workers);
        [at(0.0), at(most)]
    });
    let slope = row
        .fit
        .map_or("too few points for a line".to_owned(), |fit| {
            format!("one more worker: {}", fit_bytes(&fit))
        });
    let points = row.points.iter();
    let series = Series {
        name: "PSS of the whole scope".to_owned(),
        points: points
            .map(|&(n, weight)| (n as f64, weight, None))
            .collect(),
        look: SeriesLook::Points,
    };
    let plot = XyPlot {
        caption: &format!("PSS of the whole scope by parked workers; {slope}"),
        words: &format!(
            "{} points over the number of parked workers; {slope}",
            row.points.len()
        ),
        x: NamedAxis {
            name: "parked workers",
            axis: x,
            format: plain_number,
        },
        y: NamedAxis {
            name: "PSS",
            axis: y,
            format: bytes,
        },
        series: vec![series],
        lines: line.into_iter().collect(),
        marked: Vec::new(),
    };
    Some(plot.figure())
}

fn plain_number(value: f64) -> String {
    format!("{value:.0}")
}
