//! What one more start takes over the number of parked workers.

use super::CapacityRow;
use crate::curves::{Curve, Plot};
use crate::format::{count, duration_ns};
use crate::summary::RunSummary;

/// The file's name.
pub(crate) const FILE: &str = "capacity.svg";

/// Where the empty host lies on a logarithmic axis, which has no nought.
pub(crate) const EMPTY_AT: f64 = 0.3;

const PLOT: Plot = Plot {
    caption: "One more start beside parked workers",
    x: "parked workers (leftmost: the empty host)",
    y: "one more start: median (line), 99th percentile (crosses)",
    x_in_words: count,
    y_in_words: duration_ns,
    x_from: Some(EMPTY_AT / 1.5),
};

/// The plot; `None` if nothing was started beside parked workers.
pub(crate) fn svg(summary: &RunSummary<'_>) -> Option<String> {
    let curves: Vec<Curve> = summary.ramps().map(curve).collect();
    PLOT.svg(&curves)
}

fn curve(ramp: &CapacityRow) -> Curve {
    let at = |resident: u64| match resident {
        0 => EMPTY_AT,
        resident => resident as f64,
    };
    let is_above_zero = |(_, ns): &(f64, f64)| *ns > 0.0;
    let points = ramp.points.iter();
    let medians = points
        .clone()
        .filter_map(|p| Some((at(p.resident), p.start()?.median)));
    let p99s = points.filter_map(|p| Some((at(p.resident), p.p99_ns()?)));
    let name = match &ramp.gave {
        Some(gave) => format!(
            "{} ({}: {})",
            ramp.rung,
            count(gave.resident as f64),
            gave.word
        ),
        None => ramp.rung.clone(),
    };
    Curve {
        name,
        line: medians.filter(is_above_zero).collect(),
        crosses: p99s.filter(is_above_zero).collect(),
    }
}
