//! Rows of `make overhead`: what ours costs in times what a bare loop, or a peer, does.

use measure_core::base::processors::processors_in;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use stats::{median, median_ratio};

/// Of the resampling behind the intervals.
const SEED: u64 = 7;

/// The ratio of the medians with its interval, what it is to be at most, and both medians.
#[must_use]
pub fn ratio_row(what: &str, aim: f64, ours_ns: &[f64], peer_ns: &[f64]) -> String {
    let medians = median(ours_ns).zip(median(peer_ns));
    let Some((ratio, (ours, peer))) = median_ratio(ours_ns, peer_ns, SEED).zip(medians) else {
        return format!("{what}: unavailable: no samples");
    };
    let interval = ratio.interval.map_or_else(
        || "[too few for an interval]".to_owned(),
        |interval| format!("[{:.3}, {:.3}]", interval.lo, interval.hi),
    );
    let (unit, unit_ns) = if peer < 1e6 { ("us", 1e3) } else { ("ms", 1e6) };
    let n = match (ours_ns.len(), peer_ns.len()) {
        (ours, peer) if ours == peer => ours.to_string(),
        (ours, peer) => format!("{ours}/{peer}"),
    };
    format!(
        "{what}: {:.3} {interval} (aim <= {}) ours {:.2} {unit} peer {:.2} {unit} n={n}",
        ratio.ratio,
        (aim * 1000.0).round() / 1000.0,
        ours / unit_ns,
        peer / unit_ns,
    )
}

/// Keeps the calling thread, and what it starts from here on, on the first CPU that it may use.
///
/// # Errors
/// There is none, or the kernel refuses.
pub fn pin_to_one_cpu() -> nix::Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut one = CpuSet::new();
    one.set(
        processors_in(&allowed)
            .next()
            .ok_or(nix::errno::Errno::ENODEV)?,
    )?;
    sched_setaffinity(Pid::from_raw(0), &one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_unit_and_its_numbers() {
        let row = ratio_row("a / b", 1.0 / 3.0, &[2e6; 9], &[4e6; 8]);
        assert_eq!(
            row,
            "a / b: 0.500 [0.500, 0.500] (aim <= 0.333) ours 2.00 ms peer 4.00 ms n=9/8"
        );
        let row = ratio_row("a", 1.05, &[2e3; 9], &[1e3; 9]);
        assert!(
            row.ends_with("(aim <= 1.05) ours 2.00 us peer 1.00 us n=9"),
            "{row}"
        );
        assert_eq!(
            ratio_row("a", 1.0, &[], &[1.0]),
            "a: unavailable: no samples"
        );
    }
}
