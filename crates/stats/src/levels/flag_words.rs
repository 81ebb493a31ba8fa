//! Flags in words.

use std::fmt;

use super::flags::{Level, LevelFlag, Place};

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batch {
            Some(batch) => write!(f, "batch {batch} of process {}", self.process),
            None => write!(f, "process {}", self.process),
        }
    }
}

impl fmt::Display for LevelFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|value| format!("{value:.4}")))
    }
}

/// One start in so many beyond the bounds makes a tail of them.
const MANY_OUTLIERS: usize = 20;
/// As many places as are named one by one.
const NAMED_PLACES: usize = 3;

impl LevelFlag {
    /// In words, with values written by `number`.
    #[must_use]
    pub fn describe(&self, number: impl Fn(f64) -> String) -> String {
        match self {
            Self::Outliers {
                bounds,
                places,
                starts,
            } => describe_outliers(*bounds, places, *starts),
            Self::SlowFirst { ratio } => format!(
                "the first start of a batch takes {ratio:.2} times the median of the others: a longer warm-up is needed"
            ),
            Self::Drift { of, tau, p } => {
                let direction = if *tau > 0.0 { "rise" } else { "fall" };
                let within = match of {
                    Level::Processes => "from process to process",
                    Level::Batches => "from batch to batch within processes",
                    Level::Starts => "from start to start within batches",
                };
                format!(
                    "values {direction} {within} (Kendall's tau {tau:.2}, p {p:.1e}): state builds up, or the machine's speed changes"
                )
            }
            Self::Modes {
                low,
                high,
                high_share,
            } => format!(
                "two modes, near {} and {} ({:.0} % of the starts in the upper one): the median hides one of them",
                number(*low),
                number(*high),
                100.0 * high_share
            ),
            Self::Apart { places } => {
                let named: Vec<String> = places
                    .iter()
                    .take(NAMED_PLACES)
                    .map(|(place, ratio)| format!("{place} at {ratio:.2} times"))
                    .collect();
                format!(
                    "{}{} the median of the others: a mode of its own",
                    named.join(", "),
                    and_more(places.len())
                )
            }
        }
    }
}

fn and_more(places: usize) -> String {
    match places.saturating_sub(NAMED_PLACES) {
        0 => String::new(),
        more => format!(" and {more} more at other ratios of"),
    }
}

fn describe_outliers(bounds: (f64, f64), places: &[Place], starts: usize) -> String {
    let total: usize = places.iter().map(|place| place.starts).sum();
    let named: Vec<String> = places
        .iter()
        .take(NAMED_PLACES)
        .map(|place| format!("{} in {place}", place.starts))
        .collect();
    let left: usize = places.iter().skip(NAMED_PLACES).map(|p| p.starts).sum();
    let rest = match places.len().saturating_sub(NAMED_PLACES) {
        0 => String::new(),
        more => format!(", {left} in {more} others"),
    };
    // So many are no strangers to the rest.
    let tail = if total * MANY_OUTLIERS > starts {
        "a long tail: "
    } else {
        ""
    };
    format!(
        "{tail}{total} of {starts} starts lie below {:.2} or above {:.2} times the median beside them: {}{rest}",
        bounds.0,
        bounds.1,
        named.join(", ")
    )
}
