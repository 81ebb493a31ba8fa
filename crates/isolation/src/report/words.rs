//! Rungs and figures as every form of the results names them.

use crate::interference::Noise;
use crate::letters;
use crate::record::{Found, RungFound};

/// Rungs of which something was found.
pub(super) fn tried(found: &Found) -> impl Iterator<Item = &RungFound> {
    let probed = |rung: &&RungFound| rung.unavailable.is_none() && rung.as_rung.is_none();
    found.rungs.iter().filter(probed)
}

/// Rungs that were not probed, and why.
pub(super) fn untried(found: &Found) -> impl Iterator<Item = (&str, String)> {
    found.rungs.iter().filter_map(|rung| {
        let why = match (&rung.unavailable, &rung.as_rung) {
            (Some(why), _) => format!("unavailable: {why}"),
            (None, Some(other)) => format!(
                "not probed: its entry states what that of {other} does, of the same engine (--all)"
            ),
            (None, None) => return None,
        };
        Some((rung.rung.as_str(), why))
    })
}

/// What was found otherwise than stated: the rung, and the difference in words.
pub(super) fn differences(found: &Found) -> impl Iterator<Item = (&str, String)> {
    tried(found).flat_map(|rung| {
        let all = letters::differences(rung).into_iter();
        all.map(|words| (rung.rung.as_str(), words))
    })
}

/// A percentile beside noise over that alone, with its interval.
pub(super) fn ratio(rung: &RungFound, noise: Noise, q: f64) -> Option<String> {
    let ratio = rung.interference.as_ref()?.worse(noise, q)?.ratio?;
    let value = ratio.value;
    Some(match ratio.interval {
        Ok(interval) => format!("{value:.2} [{:.2}, {:.2}]", interval.lo, interval.hi),
        Err(why) => format!("{value:.2} (unchecked: {})", why.needs()),
    })
}

/// Nanoseconds, as a person reads them.
pub(super) fn duration(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{:.3} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.3} ms", ns / 1e6),
        ns => format!("{:.1} us", ns / 1e3),
    }
}
