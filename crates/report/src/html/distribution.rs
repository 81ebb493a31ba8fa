//! How values are distributed and in which order they came. Of many values as many are drawn as can be told apart.

use std::fmt::Write;

use maud::{Markup, html};
use stats::levels::Levels;

use super::axis::{Axis, Counts, Scale, tick_label};
use super::strips::{COLOURS, series_key};
use super::xy_plot::pixel;

const WIDTH: f64 = 360.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 10.0;
/// Of the curve.
const ECDF_PIXELS: f64 = 120.0;
/// Of each histogram, and of each picture of the order.
const PANEL_PIXELS: f64 = 62.0;
const GAP_PIXELS: f64 = 10.0;
const AXIS_PIXELS: f64 = 20.0;
const TICKS: usize = 5;
/// Points of a curve, bars of a histogram, points of the order: more cannot be told apart in so few pixels.
const CURVE_POINTS: usize = 200;
const BARS: usize = 48;
const ORDER_PARTS: usize = 110;
const ORDER_EACH: usize = 4;

/// Values of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'a> {
    /// What they are.
    pub name: &'a str,
    /// By process and batch, in the order in which they came.
    pub levels: &'a Levels,
}

/// Of values that are of one of `each` (starts, runs): the share of them below each value, a histogram for each kind with a tick for each process's median, and the order of the values of each
/// kind; empty if no value can be on a logarithmic axis.
#[must_use]
pub fn distribution(
    caption: &str,
    each: &str,
    kinds: &[Kind<'_>],
    format: fn(f64) -> String,
) -> Markup {
    let values: Vec<Vec<f64>> = kinds.iter().map(|k| k.levels.values()).collect();
    let all = values.iter().flatten().copied();
    let Some(axis) = Axis::around(Scale::Log, Counts::Tens, all) else {
        return html! {};
    };
    let names: Vec<String> = kinds.iter().map(|k| k.name.to_owned()).collect();
    let places = Places { axis, each, format };
    html! {
        figure.plot {
            figcaption { (caption) ": share of " (each) " that took no longer, and below how many took as long, with a tick for each process's median" }
            (series_key(&names))
            (places.ecdf_and_histograms(kinds, &values))
        }
        figure.plot {
            figcaption { (caption) ": in the order in which they were made, processes set apart by lines" }
            (series_key(&names))
            (places.orders(kinds, &values))
        }
    }
}

struct Places<'a> {
    axis: Axis,
    each: &'a str,
    format: fn(f64) -> String,
}

impl Places<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.axis.share(value) * (WIDTH - LEFT - RIGHT)
    }

    fn ecdf_and_histograms(&self, kinds: &[Kind<'_>], values: &[Vec<f64>]) -> Markup {
        let bottom = ECDF_PIXELS + kinds.len() as f64 * PANEL_PIXELS;
        let height = bottom + AXIS_PIXELS;
        let words = self.in_words(kinds, values);
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(words) {
                @for tick in self.axis.ticks(TICKS) {
                    @let x = self.x(tick);
                    line.grid x1=(pixel(x)) x2=(pixel(x)) y1="4" y2=(bottom) {}
                    text x=(pixel(x)) y=(bottom + 14.0) text-anchor=(anchor(x)) { (tick_label(&(self.format)(tick))) }
                }
                @for share in [0.0, 0.5, 0.9, 1.0] {
                    @let y = ecdf_y(share);
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(pixel(y)) y2=(pixel(y)) {}
                    text x=(LEFT - 4.0) y=(pixel(y + 3.5)) text-anchor="end" { (format!("{:.0} %", 100.0 * share)) }
                }
                @for (at, (kind, values)) in kinds.iter().zip(values).enumerate() {
                    g.{ "c" (at % COLOURS) } {
                        path.line d=(self.ecdf(values)) {}
                        (self.histogram(kind, values, ECDF_PIXELS + at as f64 * PANEL_PIXELS))
                    }
                }
            }
        }
    }

    /// Steps through at most [`CURVE_POINTS`] of the sorted values, the smallest and the largest among them.
    fn ecdf(&self, values: &[f64]) -> String {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut path = String::new();
        let count = sorted.len();
        for (at, place) in chosen(count, CURVE_POINTS).into_iter().enumerate() {
            let (x, y) = (
                self.x(sorted[place]),
                ecdf_y((place + 1) as f64 / count as f64),
            );
            // A string takes every write.
            let _ = if at == 0 {
                write!(path, "M{} {}V{}", pixel(x), pixel(ecdf_y(0.0)), pixel(y))
            } else {
                write!(path, "H{}V{}", pixel(x), pixel(y))
            };
        }
        path
    }

    /// Bars of equal width on the axis, the highest as high as there is room.
    fn histogram(&self, kind: &Kind<'_>, values: &[f64], top: f64) -> Markup {
        let mut counts = [0_usize; BARS];
        for value in values {
            let bar = (self.axis.share(*value) * BARS as f64) as usize;
            counts[bar.min(BARS - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1);
        let base = top + PANEL_PIXELS - 4.0;
        let room = PANEL_PIXELS - GAP_PIXELS - 4.0;
        let wide = (WIDTH - LEFT - RIGHT) / BARS as f64;
        let mut bars = String::new();
        for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let x = LEFT + at as f64 * wide;
            // One of a hundred thousand is to be seen too.
            let high = (*count as f64 / most as f64 * room).max(0.7);
            let _ = write!(
                bars,
                "M{} {}v-{}h{}v{}z",
                pixel(x),
                pixel(base),
                pixel(high),
                pixel(wide - 0.6),
                pixel(high)
            );
        }
        let mut ticks = String::new();
        for median in kind.levels.process_medians() {
            let _ = write!(ticks, "M{} {}v4", pixel(self.x(median)), pixel(base));
        }
        html! {
            path.bar d=(bars) {}
            path.rug d=(ticks) {}
            text x=(LEFT - 4.0) y=(pixel(base - room + 7.0)) text-anchor="end" { (most) }
            text x=(LEFT - 4.0) y=(pixel(base)) text-anchor="end" { "0" }
        }
    }

    fn orders(&self, kinds: &[Kind<'_>], values: &[Vec<f64>]) -> Markup {
        let panel = PANEL_PIXELS * 1.6;
        let height = kinds.len() as f64 * panel + 4.0;
        let words = format!(
            "Order of {} kinds of {}; their samples are in the list below",
            kinds.len(),
            self.each
        );
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(words) {
                @for (at, (kind, values)) in kinds.iter().zip(values).enumerate() {
                    (order(kind, values, at, at as f64 * panel, panel, self.format))
                }
            }
        }
    }

    fn in_words(&self, kinds: &[Kind<'_>], values: &[Vec<f64>]) -> String {
        let each = kinds.iter().zip(values).map(|(kind, values)| {
            let quantile = |q| stats::quantile(values, q).map_or("-".to_owned(), self.format);
            format!(
                "{}: {} {}, smallest {}, quartiles {}, {} and {}, 90 % within {}, largest {}",
                kind.name,
                values.len(),
                self.each,
                quantile(0.0),
                quantile(0.25),
                quantile(0.5),
                quantile(0.75),
                quantile(0.9),
                quantile(1.0)
            )
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

fn ecdf_y(share: f64) -> f64 {
    8.0 + (1.0 - share) * (ECDF_PIXELS - 16.0)
}

fn anchor(x: f64) -> &'static str {
    if x < LEFT + 12.0 {
        "start"
    } else if x > WIDTH - RIGHT - 18.0 {
        "end"
    } else {
        "middle"
    }
}

/// At most `most` places among `count`, evenly apart, the first and the last among them.
fn chosen(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|i| i * (count - 1) / (most - 1)).collect()
}

/// Values in the order in which they came. Of many, every so manieth, and of each part of them the smallest and the largest.
fn order(
    kind: &Kind<'_>,
    values: &[f64],
    series: usize,
    top: f64,
    high: f64,
    format: fn(f64) -> String,
) -> Markup {
    let Some(axis) = Axis::around(Scale::Log, Counts::Tens, values.iter().copied()) else {
        return html! {};
    };
    let (first, last) = (top + GAP_PIXELS, top + high - 4.0);
    let y = |value: f64| last - axis.share(value) * (last - first);
    let wide = WIDTH - LEFT - RIGHT;
    let x = |place: usize| LEFT + (place as f64 + 0.5) / values.len() as f64 * wide;
    let mut dots = String::new();
    for place in in_order(values) {
        let _ = write!(dots, "M{} {}h0", pixel(x(place)), pixel(y(values[place])));
    }
    let mut edges = String::new();
    let mut begin = 0;
    for process in kind.levels.processes() {
        begin += process
            .batches
            .iter()
            .map(|b| b.values.len())
            .sum::<usize>();
        if begin < values.len() {
            let at = LEFT + begin as f64 / values.len() as f64 * wide;
            let _ = write!(edges, "M{} {}V{}", pixel(at), pixel(first), pixel(last));
        }
    }
    html! {
        @for tick in axis.ticks(3) {
            line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(pixel(y(tick))) y2=(pixel(y(tick))) {}
            text x=(LEFT - 4.0) y=(pixel(y(tick) + 3.5)) text-anchor="end" { (tick_label(&format(tick))) }
        }
        path.edge d=(edges) {}
        path.dots.{ "c" (series % COLOURS) } d=(dots) {}
    }
}

/// The places that are drawn.
fn in_order(values: &[f64]) -> Vec<usize> {
    if values.len() <= ORDER_PARTS * (ORDER_EACH + 2) {
        return (0..values.len()).collect();
    }
    let mut places = Vec::new();
    for part in 0..ORDER_PARTS {
        let range = part * values.len() / ORDER_PARTS..(part + 1) * values.len() / ORDER_PARTS;
        let by_value = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
        places.extend(range.clone().min_by(by_value));
        places.extend(range.clone().max_by(by_value));
        let inner = chosen(range.len(), ORDER_EACH);
        places.extend(inner.into_iter().map(|i| range.start + i));
    }
    places.sort_unstable();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(values: impl Iterator<Item = f64>) -> Levels {
        let seen = values
            .enumerate()
            .map(|(at, v)| (1 + at as u32 / 100, 1, v));
        Levels::from_observations(seen).expect("values")
    }

    #[test]
    fn both_kinds_are_drawn_and_told_in_words() {
        let (a, b) = (
            levels((1..=250).map(f64::from)),
            levels((1..=5).map(f64::from)),
        );
        let kinds = [
            Kind {
                name: "isolated",
                levels: &a,
            },
            Kind {
                name: "back to back",
                levels: &b,
            },
        ];
        let text = distribution("wasm", "starts", &kinds, crate::format::duration_ns).into_string();
        assert_eq!(text.matches("class=\"line\"").count(), 2);
        assert!(
            text.contains("isolated: 250 starts, smallest 1.00 ns"),
            "{text}"
        );
        assert_eq!(text.matches("class=\"dots").count(), 2);
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn what_has_no_logarithm_is_no_picture() {
        let zero = levels([0.0, 0.0].into_iter());
        let kinds = [Kind {
            name: "x",
            levels: &zero,
        }];
        assert_eq!(
            distribution("x", "runs", &kinds, crate::format::duration_ns).into_string(),
            ""
        );
    }

    proptest! {
        #[test]
        fn of_many_values_few_are_drawn_and_the_outermost_are_among_them(
            values in prop::collection::vec(1.0..1e9_f64, 1..3000),
        ) {
            let places = in_order(&values);
            prop_assert!(places.len() <= ORDER_PARTS * (ORDER_EACH + 2));
            let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
            let drawn = most(&mut places.iter().map(|&p| values[p]));
            prop_assert_eq!(drawn, most(&mut values.iter().copied()));
            let few = chosen(values.len(), CURVE_POINTS);
            prop_assert_eq!((few[0], few[few.len() - 1]), (0, values.len() - 1));
        }
    }
}
