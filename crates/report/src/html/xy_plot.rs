//! Points and lines over two axes, as a picture that is as wide as a telephone, so that several stand side by side where there is room.

use std::fmt::Write;

use maud::{Markup, html};
use stats::Interval;

use super::axis::{Axis, tick_label};
use super::strips::{COLOURS, series_key};

/// The picture's own pixels.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 200.0;
/// Where the axes cross.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;
const TICKS: usize = 5;
/// Of more points than these signs would cover one another: they are drawn as small as can be told apart.
const MANY_POINTS: usize = 60;
const SMALL: f64 = 0.6;

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesLook {
    /// A sign for each point.
    Points,
    /// The same, joined by a line.
    Joined,
    /// The line alone.
    Line,
}

/// What one series is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Where its points lie, and how sure that is.
    pub points: Vec<(f64, f64, Option<Interval>)>,
    /// Signs, a line, or both.
    pub look: SeriesLook,
}

impl Series {
    /// The ends of every point and interval on the axis upwards, for [`Axis::around`].
    pub fn heights(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().flat_map(|(_, y, interval)| {
            let (lo, hi) = interval.map_or((*y, *y), |i| (i.lo, i.hi));
            [*y, lo, hi]
        })
    }
}

/// An axis with what it is of.
#[derive(Debug, Clone, Copy)]
pub struct NamedAxis<'a> {
    /// What it is of, with its unit.
    pub name: &'a str,
    /// From where to where.
    pub axis: Axis,
    /// How a value on it is written.
    pub format: fn(f64) -> String,
}

/// The picture.
#[derive(Debug)]
pub struct XyPlot<'a> {
    /// What is to be seen.
    pub caption: &'a str,
    /// All of it in words, for who does not see it.
    pub words: &'a str,
    /// To the right.
    pub x: NamedAxis<'a>,
    /// Upwards.
    pub y: NamedAxis<'a>,
    /// What lies on it.
    pub series: Vec<Series>,
    /// Straight lines, from a point to another.
    pub lines: Vec<[(f64, f64); 2]>,
    /// Places on the axis to the right that are set apart.
    pub marked: Vec<f64>,
}

impl XyPlot<'_> {
    /// The figure.
    #[must_use]
    pub fn figure(&self) -> Markup {
        html! {
            figure.plot {
                figcaption { (self.caption) }
                (series_key(&self.series.iter().map(|s| s.name.clone()).collect::<Vec<_>>()))
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.words) {
                    (self.axes())
                    @for &place in &self.marked {
                        @let x = pixel(self.left(place));
                        line.marked x1=(x) x2=(x) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
                    }
                    @for [from, to] in &self.lines {
                        line.fit x1=(pixel(self.left(from.0))) y1=(pixel(self.top(from.1)))
                            x2=(pixel(self.left(to.0))) y2=(pixel(self.top(to.1))) {}
                    }
                    @for (at, series) in self.series.iter().enumerate() {
                        g.{ "c" (at % COLOURS) } { (self.drawn(at, series)) }
                    }
                }
            }
        }
    }

    fn left(&self, x: f64) -> f64 {
        LEFT + self.x.axis.share(x) * (WIDTH - LEFT - RIGHT)
    }

    fn top(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.axis.share(y) * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self) -> Markup {
        let (left, right, top, bottom) = (LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM);
        html! {
            @for tick in self.y.axis.ticks(TICKS) {
                @let y = self.top(tick);
                line.grid x1=(left) x2=(right) y1=(pixel(y)) y2=(pixel(y)) {}
                text x=(left - 4.0) y=(pixel(y + 3.5)) text-anchor="end" { (tick_label(&(self.y.format)(tick))) }
            }
            @for tick in self.x.axis.ticks(TICKS) {
                @let x = self.left(tick);
                line.grid x1=(pixel(x)) x2=(pixel(x)) y1=(top) y2=(bottom) {}
                @let anchor = if x > right - 16.0 { "end" } else { "middle" };
                text x=(pixel(x)) y=(bottom + 13.0) text-anchor=(anchor) { (tick_label(&(self.x.format)(tick))) }
            }
            text.name x=((left + right) / 2.0) y=(HEIGHT - 5.0) text-anchor="middle" { (self.x.name) }
        }
    }

    fn drawn(&self, number: usize, series: &Series) -> Markup {
        let mut line = String::new();
        let mut intervals = String::new();
        for (at, (x, y, interval)) in series.points.iter().enumerate() {
            let (x, y) = (self.left(*x), self.top(*y));
            // A string takes every write.
            let _ = write!(
                line,
                "{}{} {}",
                if at == 0 { 'M' } else { 'L' },
                pixel(x),
                pixel(y)
            );
            if let Some(i) = interval {
                let _ = write!(
                    intervals,
                    "M{} {}V{}",
                    pixel(x),
                    pixel(self.top(i.lo)),
                    pixel(self.top(i.hi))
                );
            }
        }
        let size = if series.points.len() > MANY_POINTS {
            SMALL
        } else {
            1.0
        };
        html! {
            @if !intervals.is_empty() { path.interval d=(intervals) {} }
            @if series.look != SeriesLook::Points { path.line d=(line) {} }
            @if series.look != SeriesLook::Line {
                @for (x, y, _) in &series.points {
                    g.point {
                        title { (tick_label(&(self.x.format)(*x))) ": " ((self.y.format)(*y)) }
                        (sign(number, self.left(*x), self.top(*y), size))
                    }
                }
            }
        }
    }
}

/// The sign of a series, which tells it from others where colours do not: a circle, a square, a diamond, then triangles.
fn sign(number: usize, x: f64, y: f64, size: f64) -> Markup {
    let [side, half] = [5.4 * size, 3.8 * size];
    let d = pixel(half);
    html! {
        @match number {
            0 => circle cx=(pixel(x)) cy=(pixel(y)) r=(pixel(3.0 * size)) {},
            1 => rect x=(pixel(x - side / 2.0)) y=(pixel(y - side / 2.0)) width=(pixel(side)) height=(pixel(side)) {},
            2 => path d={ "M" (pixel(x)) " " (pixel(y - half)) "l" (d) " " (d) "l-" (d) " " (d) "l-" (d) "-" (d) "z" } {},
            _ => path d={ "M" (pixel(x)) " " (pixel(y - 3.6 * size)) "l" (d) " " (pixel(6.4 * size)) "h-" (pixel(2.0 * half)) "z" } {},
        }
    }
}

/// A place in a picture with as many decimals as can be seen.
#[must_use]
pub(super) fn pixel(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::axis::{Counts, Scale};
    use super::*;

    #[test]
    fn points_intervals_lines_and_marks_are_where_they_should_be() {
        let axis =
            |scale, values: [f64; 2]| Axis::around(scale, Counts::Tens, values).expect("values");
        let plot = XyPlot {
            caption: "c <b>",
            words: "w",
            x: NamedAxis {
                name: "workers",
                axis: axis(Scale::Linear, [0.0, 10.0]),
                format: crate::format::count,
            },
            y: NamedAxis {
                name: "ns",
                axis: axis(Scale::Log, [1.0, 100.0]),
                format: crate::format::duration_ns,
            },
            series: vec![
                Series {
                    name: "s".to_owned(),
                    points: vec![(5.0, 10.0, Some(Interval { lo: 5.0, hi: 20.0 }))],
                    look: SeriesLook::Joined,
                },
                Series {
                    name: "law".to_owned(),
                    points: vec![(1.0, 10.0, None), (9.0, 20.0, None)],
                    look: SeriesLook::Line,
                },
            ],
            lines: vec![[(0.0, 1.0), (10.0, 100.0)]],
            marked: vec![5.0],
        };
        let text = plot.figure().into_string();
        assert!(text.contains(r#"<circle cx="204" cy="87""#), "{text}");
        assert_eq!(text.matches("class=\"line\"").count(), 2);
        assert!(!text.contains("<rect class") && !text.contains("width=\"5.4\""));
        assert!(text.contains("c &lt;b&gt;") && text.contains("class=\"fit\""));
        assert_eq!(text.matches("class=\"marked\"").count(), 1);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
