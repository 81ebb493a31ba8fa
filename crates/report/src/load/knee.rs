//! The largest rate of arrivals at which a rung holds its latency.

use std::collections::BTreeMap;

use stats::levels::{Estimate, Levels, median};

use super::points::Measured;

/// Where a rung's p99 comes to exceed what it is to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Knee {
    /// At this rate, arrivals a second: median over the driver processes, with its interval. Within each it is where the line
    /// between the last rate that held and the first that did not, both axes logarithmic, crosses the limit.
    At(Estimate),
    /// It held at every rate that was offered, the largest of which is this.
    AtLeast(f64),
    /// It did not hold at the smallest rate that was offered, which is this.
    Below(f64),
    /// No point tells.
    Unknown,
}

/// The quantile that is held against the limit.
const HELD: f64 = 0.99;

/// Of one process.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Crossing {
    At(f64),
    AtLeast(f64),
    Below(f64),
}

impl Knee {
    /// From the points of one rung that tell something of it.
    pub(super) fn from_points(points: &[&Measured], limit_ns: u64) -> Self {
        let mut by_process: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
        for measured in points {
            let point = &measured.point;
            let counted = measured.latency.counted(point.failed + point.refused);
            if let (None, Some(p99)) = (&point.generator.unfit, counted.quantile(HELD)) {
                let rates = by_process.entry(point.process).or_default();
                rates.push((point.offered_per_s, p99));
            }
        }
        let crossings = by_process
            .into_values()
            .filter_map(|rates| crossing(rates, limit_ns as f64));
        Self::from_crossings(&crossings.collect::<Vec<_>>())
    }

    fn from_crossings(crossings: &[Crossing]) -> Self {
        let rate = |c: &Crossing| match *c {
            Crossing::At(rate) | Crossing::AtLeast(rate) | Crossing::Below(rate) => rate,
        };
        let rates: Vec<f64> = crossings.iter().map(rate).collect();
        let Some(levels) = Levels::one_per_process(&rates) else {
            return Self::Unknown;
        };
        let middle = median(&levels);
        let share = |is: fn(&Crossing) -> bool| 2 * crossings.iter().filter(|c| is(c)).count();
        if share(|c| matches!(c, Crossing::AtLeast(_))) > crossings.len() {
            Self::AtLeast(middle.value)
        } else if share(|c| matches!(c, Crossing::Below(_))) > crossings.len() {
            Self::Below(middle.value)
        } else {
            Self::At(middle)
        }
    }
}

/// Where the p99 of one process crosses `limit`, from its rates and p99s.
fn crossing(mut rates: Vec<(f64, f64)>, limit: f64) -> Option<Crossing> {
    rates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let over = rates.iter().position(|&(_, p99)| p99 > limit);
    let Some(over) = over else {
        return rates.last().map(|&(rate, _)| Crossing::AtLeast(rate));
    };
    let (bad, bad_p99) = rates[over];
    let Some(&(good, good_p99)) = over.checked_sub(1).and_then(|last| rates.get(last)) else {
        return Some(Crossing::Below(bad));
    };
    // Where starts were refused there is no p99 to draw a line to.
    if !bad_p99.is_finite() || good_p99 <= 0.0 {
        return Some(Crossing::At(good));
    }
    let part = (limit / good_p99).ln() / (bad_p99 / good_p99).ln();
    Some(Crossing::At(good * (bad / good).powf(part)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_knee_lies_between_the_last_that_held_and_the_first_that_did_not() {
        let rates = vec![(400.0, 1e8), (100.0, 1e4), (200.0, 1e5)];
        // Halfway from 1e5 to 1e8 on a logarithmic axis, 1e6.5 is a half, 1e6 a third.
        let Some(Crossing::At(rate)) = crossing(rates, 1e6) else {
            panic!("a crossing");
        };
        assert!((rate - 200.0 * 2f64.powf(1.0 / 3.0)).abs() < 1e-6, "{rate}");
        let refused = vec![(100.0, 1e4), (200.0, f64::INFINITY)];
        assert_eq!(crossing(refused, 1e6), Some(Crossing::At(100.0)));
        assert_eq!(
            crossing(vec![(5.0, 9.0)], 10.0),
            Some(Crossing::AtLeast(5.0))
        );
        assert_eq!(
            crossing(vec![(5.0, 11.0)], 10.0),
            Some(Crossing::Below(5.0))
        );
        assert_eq!(crossing(Vec::new(), 10.0), None);
    }

    #[test]
    fn most_processes_say_whether_it_was_seen_at_all() {
        use Crossing::{At, AtLeast, Below};
        assert_eq!(Knee::from_crossings(&[]), Knee::Unknown);
        let held = Knee::from_crossings(&[AtLeast(8.0), AtLeast(8.0), At(7.0)]);
        assert_eq!(held, Knee::AtLeast(8.0));
        let never = Knee::from_crossings(&[Below(1.0), Below(1.0)]);
        assert_eq!(never, Knee::Below(1.0));
        let six =
            Knee::from_crossings(&[At(4.0), At(5.0), At(6.0), At(7.0), At(5.5), AtLeast(8.0)]);
        let Knee::At(found) = six else {
            panic!("{six:?}");
        };
        assert!(
            (found.value - 5.75).abs() < 1e-9 && found.interval.is_ok(),
            "{found:?}"
        );
    }

    proptest! {
        #[test]
        fn it_never_lies_outside_of_what_was_offered(
            rates in prop::collection::vec((1.0..1e6_f64, 1.0..1e10_f64), 1..12),
            limit in 1.0..1e10_f64,
        ) {
            let (least, most) = rates.iter().fold((f64::MAX, 0_f64), |(l, m), r| (l.min(r.0), m.max(r.0)));
            let rate = match crossing(rates, limit) {
                Some(Crossing::At(r) | Crossing::AtLeast(r) | Crossing::Below(r)) => r,
                None => least,
            };
            prop_assert!(rate >= least * 0.999_999 && rate <= most * 1.000_001, "{}", rate);
        }
    }
}
