//! Starts per second over workers, a line for each rung, with what the fitted law says.

use crate::curves::{Curve, Plot};
use crate::format::count;
use crate::summary::RunSummary;
use crate::time::{TimeRow, scalability};

/// The file's name.
pub(crate) const FILE: &str = "scaling.svg";

const PLOT: Plot = Plot {
    caption: "Starts per second by so many workers",
    x: "workers",
    y: "starts per second: measured (line), fitted law (crosses)",
    x_in_words: count,
    y_in_words: count,
    x_from: Some(0.8),
};

/// The plot; `None` for a run that is none of scaling.
pub(crate) fn svg(summary: &RunSummary<'_>) -> Option<String> {
    if !is_scaling(summary) {
        return None;
    }
    let curves: Vec<Curve> = summary.times().map(curve).collect();
    PLOT.svg(&curves)
}

fn curve(row: &TimeRow) -> Curve {
    let measured = row.throughput.iter();
    let line: Vec<(f64, f64)> = measured
        .map(|t| (f64::from(t.workers), t.rate.value))
        .filter(|(_, rate)| *rate > 0.0)
        .collect();
    let fit = scalability(&row.throughput);
    let fitted = |&(workers, _): &(f64, f64)| Some((workers, fit?.rate_at(workers)));
    Curve {
        name: row.rung.clone(),
        crosses: line.iter().filter_map(fitted).collect(),
        line,
    }
}

/// Profile of the runs whose batches of one worker are like those of several.
const PROFILE: &str = "scaling";

/// Whether a part of the run was made for this.
pub(crate) fn is_scaling(summary: &RunSummary<'_>) -> bool {
    let mut parts = summary.records.info.parts.iter();
    parts.any(|part| part.profile == PROFILE)
}
