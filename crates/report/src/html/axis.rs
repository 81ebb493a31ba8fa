//! Axes: where a value lies between two ends, and where to put ticks.

/// How an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios; for positive values only.
    Log,
}

/// What its numbers are, by which ticks are round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// In tens.
    Tens,
    /// Bytes, in powers of two.
    Bytes,
    /// Seconds since 1970, in what clocks and calendars are parted into.
    Time,
}

/// An axis from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    scale: Scale,
    counts: Counts,
    lo: f64,
    hi: f64,
}

/// Room beside the outermost values, as a share of the axis.
const ROOM: f64 = 0.04;
/// A logarithmic axis on which everything is the same covers this factor to either side.
const ALONE: f64 = 1.5;
/// What a time is called is long.
const MOST_TIMES: usize = 4;
const DAY_S: f64 = 86_400.0;
/// From tick to tick of a time, in seconds: what clocks and calendars have, each about twice the one before.
const TIME_STEPS: [f64; 22] = [
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    DAY_S,
    2.0 * DAY_S,
    4.0 * DAY_S,
    7.0 * DAY_S,
    14.0 * DAY_S,
    28.0 * DAY_S,
    56.0 * DAY_S,
    112.0 * DAY_S,
    224.0 * DAY_S,
    448.0 * DAY_S,
    896.0 * DAY_S,
];

impl Axis {
    /// One on which all of `values` have room; `None` if none of them can be on it. Values that are not finite, or on a
    /// logarithmic axis not positive, count for nothing.
    #[must_use]
    pub fn around(
        scale: Scale,
        counts: Counts,
        values: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let fits = |v: &f64| v.is_finite() && (scale == Scale::Linear || *v > 0.0);
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(fits) {
            lo = lo.min(value);
            hi = hi.max(value);
        }
        if lo > hi {
            return None;
        }
        let (lo, hi) = match scale {
            Scale::Log if lo == hi => (lo / ALONE, hi * ALONE),
            Scale::Log => {
                let room = (hi / lo).powf(ROOM);
                (lo / room, hi * room)
            }
            Scale::Linear if lo == hi => {
                (lo - lo.abs().max(1.0) / 2.0, hi + hi.abs().max(1.0) / 2.0)
            }
            Scale::Linear => {
                let room = (hi - lo) * ROOM;
                (lo - room, hi + room)
            }
        };
        Some(Self {
            scale,
            counts,
            lo,
            hi,
        })
    }

    /// How far along the axis `value` lies, 0 to 1; what lies beyond an end is put there.
    #[must_use]
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.lo) / (self.hi - self.lo),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.lo).ln() / (self.hi / self.lo).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// The value that lies `share` of the way along it.
    #[must_use]
    pub fn value_at(&self, share: f64) -> f64 {
        match self.scale {
            Scale::Linear => self.lo + share * (self.hi - self.lo),
            Scale::Log => self.lo * (self.hi / self.lo).powf(share),
        }
    }

    /// Round values within it, at most `most` of them.
    #[must_use]
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        let found = match (self.scale, self.counts) {
            (Scale::Linear, Counts::Time) => self.times(most.min(MOST_TIMES)),
            (Scale::Linear, _) => Vec::new(),
            (Scale::Log, Counts::Tens | Counts::Time) => self.tens(most),
            (Scale::Log, Counts::Bytes) => self.powers_of_two(most),
        };
        if found.len() < 2 {
            return self.even(most);
        }
        found
    }

    fn within(&self, value: f64) -> bool {
        (self.lo..=self.hi).contains(&value)
    }

    /// The densest of round values on a logarithmic axis that are no more than `most`.
    fn tens(&self, most: usize) -> Vec<f64> {
        let first = self.lo.log10().floor() as i32;
        let last = self.hi.log10().ceil() as i32;
        let within = |mantissas: &[f64], step: usize| -> Vec<f64> {
            let decades = (first..=last).filter(|d| d.rem_euclid(step as i32) == 0);
            let all = decades.flat_map(|d| mantissas.iter().map(move |m| m * 10f64.powi(d)));
            all.filter(|&v| self.within(v)).collect()
        };
        for mantissas in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]] {
            let found = within(mantissas, 1);
            if found.len() <= most {
                return found;
            }
        }
        let steps = (1..).map(|step| within(&[1.0], step));
        steps
            .take(400)
            .find(|found| found.len() <= most)
            .unwrap_or_default()
    }

    fn powers_of_two(&self, most: usize) -> Vec<f64> {
        let (first, last) = (self.lo.log2().ceil() as i32, self.hi.log2().floor() as i32);
        for step in [1, 2, 5, 10, 20] {
            let powers = (first..=last).filter(|p| p.rem_euclid(step) == 0);
            let found: Vec<f64> = powers.map(|p| 2f64.powi(p)).collect();
            if found.len() <= most {
                return found;
            }
        }
        Vec::new()
    }

    /// The densest of [`TIME_STEPS`] that are no more than `most`.
    fn times(&self, most: usize) -> Vec<f64> {
        let of = |step: f64| -> Vec<f64> {
            let first = (self.lo / step).ceil();
            let count = ((self.hi / step).floor() - first).max(0.0) as usize;
            let each = (0..=count.min(most)).map(|i| (first + i as f64) * step);
            each.filter(|&v| self.within(v)).collect()
        };
        TIME_STEPS
            .into_iter()
            .map(of)
            .find(|found| found.len() <= most)
            .unwrap_or_default()
    }

    /// Values at equal distances of 1, 2 or 5 times a power of ten, of bytes in the largest unit.
    fn even(&self, most: usize) -> Vec<f64> {
        let unit = match self.counts {
            Counts::Tens | Counts::Time => 1.0,
            Counts::Bytes => {
                let largest = self.lo.abs().max(self.hi.abs()).max(1.0);
                1024f64.powi((largest.ln() / 1024f64.ln()).floor() as i32)
            }
        };
        let (lo, hi) = (self.lo / unit, self.hi / unit);
        let rough = (hi - lo) / most.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
        let step = steps.into_iter().find(|s| *s >= rough).unwrap_or(rough);
        if !step.is_normal() {
            return Vec::new();
        }
        let first = (lo / step).ceil();
        let count = ((hi / step).floor() - first).max(0.0) as usize;
        let each = (0..=count.min(most)).map(|i| (first + i as f64) * step * unit);
        each.filter(|&v| self.within(v)).collect()
    }
}

/// A number with its unit, without zeros that say nothing: `4 KiB` for `4.00 KiB`.
#[must_use]
pub fn tick_label(label: &str) -> String {
    let (number, unit) = label.split_once(' ').unwrap_or((label, ""));
    let short = if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    format!("{short} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn axis(scale: Scale, counts: Counts, values: &[f64]) -> Axis {
        Axis::around(scale, counts, values.iter().copied()).expect("values")
    }

    #[test]
    fn ticks_are_round_in_their_unit() {
        let decades = axis(Scale::Log, Counts::Tens, &[2e3, 3e8]);
        assert_eq!(decades.ticks(6), [1e4, 1e5, 1e6, 1e7, 1e8]);
        let near = axis(Scale::Log, Counts::Tens, &[0.8, 1.6]);
        assert_eq!(near.ticks(4).len(), 2);
        let bytes = axis(Scale::Log, Counts::Bytes, &[9e3, 4e6]);
        assert!(bytes.ticks(8).contains(&65536.0), "{:?}", bytes.ticks(8));
        let linear = axis(Scale::Linear, Counts::Bytes, &[0.0, 9.0 * 1048576.0]);
        assert!(linear.ticks(5).contains(&(2.0 * 1048576.0)));
        assert_eq!(tick_label("4.00 KiB"), "4 KiB");
        assert_eq!(tick_label("100"), "100");
    }

    #[test]
    fn ticks_of_a_time_are_round_by_clock_and_calendar() {
        let from = 20_000.0 * DAY_S + 5000.0;
        for (length, least_step) in [
            (3600.0, 900.0),
            (DAY_S, 21_600.0),
            (10.0 * DAY_S, DAY_S),
            (300.0 * DAY_S, 7.0 * DAY_S),
        ] {
            let ticks = axis(Scale::Linear, Counts::Time, &[from, from + length]).ticks(5);
            assert!((2..=4).contains(&ticks.len()), "{length}: {ticks:?}");
            let are_round = ticks.iter().all(|t| t % least_step == 0.0);
            assert!(are_round, "{length}: {ticks:?}");
        }
    }

    #[test]
    fn what_has_no_place_is_left_out_or_put_at_an_end() {
        assert_eq!(Axis::around(Scale::Log, Counts::Tens, [0.0, -1.0]), None);
        let one = axis(Scale::Log, Counts::Tens, &[10.0, f64::NAN, 0.0]);
        assert_eq!((one.share(0.0), one.share(1e9)), (0.0, 1.0));
        assert!((one.share(10.0) - 0.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn ticks_lie_within_and_are_never_more(
            a in 1e-6..1e12_f64, factor in 1.0..1e9_f64, most in 2_usize..12, is_log: bool, is_bytes: bool,
        ) {
            let scale = if is_log { Scale::Log } else { Scale::Linear };
            let counts = if is_bytes { Counts::Bytes } else { Counts::Tens };
            let axis = axis(scale, counts, &[a, a * factor]);
            let ticks = axis.ticks(most);
            prop_assert!(ticks.len() <= most + 1, "{:?}", ticks);
            prop_assert!(ticks.iter().all(|&t| axis.within(t)), "{:?}", ticks);
            let middle = axis.value_at(axis.share(a));
            prop_assert!((middle / a - 1.0).abs() < 1e-6);
        }
    }
}
