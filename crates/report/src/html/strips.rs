//! Rows of marks on one axis: a line for each name, marks with intervals or bars on it, in its full width. Places are
//! shares of that width, so a strip is as sharp and its words as large on a telephone as on a desk.

use maud::{Markup, html};
use stats::Interval;
use stats::levels::Estimate;

use super::axis::{Axis, Counts, Scale, tick_label};

/// Between two marks of a strip, one above the other.
const LANE_PIXELS: usize = 12;
/// Above the first and below the last.
const EDGE_PIXELS: usize = 9;
/// On a narrow screen more would run into one another.
const MOST_TICKS: usize = 5;

/// A value to be marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Which of [`Strips::series`] it belongs to.
    pub series: usize,
    /// Where it lies.
    pub value: f64,
    /// How sure that is.
    pub interval: Option<Interval>,
}

impl Mark {
    /// `estimate` with its interval, if it has one.
    #[must_use]
    pub fn new(series: usize, estimate: &Estimate) -> Self {
        Self {
            series,
            value: estimate.value,
            interval: estimate.interval.ok(),
        }
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Strip {
    /// What it is of.
    pub name: String,
    /// Where the name leads to.
    pub link: Option<String>,
    /// Its marks.
    pub marks: Vec<Mark>,
    /// Its figures in words: shown beside it, and all that a screen reader says of it.
    pub words: String,
}

/// How marks look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Look {
    /// A point, of the second series a square, of the third a diamond, of others a triangle.
    Points,
    /// A bar from this value to the mark's.
    BarsFrom(f64),
}

/// Lines on one axis.
#[derive(Debug)]
pub struct Strips<'a> {
    /// What is to be seen.
    pub caption: &'a str,
    /// What marks of a series are, by their number.
    pub series: &'a [String],
    /// The lines, from above.
    pub strips: Vec<Strip>,
    /// Where values lie.
    pub axis: Axis,
    /// How a value is written below the axis.
    pub format: fn(f64) -> String,
    /// Points or bars.
    pub look: Look,
}

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// Lines on a logarithmic axis on which all their marks, their intervals and the `further` values have room; empty without any.
#[must_use]
pub fn on_log_axis(
    caption: &str,
    series: &[String],
    strips: Vec<Strip>,
    axis: (Counts, impl IntoIterator<Item = f64>),
    format: fn(f64) -> String,
    look: Look,
) -> Markup {
    let (counts, further) = axis;
    let marks = strips.iter().flat_map(|strip| &strip.marks);
    let ends = marks.flat_map(|m| {
        let ends = m.interval.map_or([m.value; 2], |i| [i.lo, i.hi]);
        [m.value, ends[0], ends[1]]
    });
    let Some(axis) = Axis::around(Scale::Log, counts, ends.chain(further)) else {
        return html! {};
    };
    Strips {
        caption,
        series,
        strips,
        axis,
        format,
        look,
    }
    .figure()
}

impl Strips<'_> {
    /// The figure. Empty without a line.
    #[must_use]
    pub fn figure(&self) -> Markup {
        if self.strips.is_empty() {
            return html! {};
        }
        html! {
            figure.strips {
                figcaption { (self.caption) }
                (series_key(self.series))
                ul { @for strip in &self.strips { li { (self.line(strip)) } } }
                (self.ticks_line())
            }
        }
    }

    fn line(&self, strip: &Strip) -> Markup {
        let lanes = match self.look {
            Look::Points => 1 + strip.marks.iter().map(|m| m.series).max().unwrap_or(0),
            Look::BarsFrom(_) => strip.marks.len().max(1),
        };
        let height = 2 * EDGE_PIXELS + (lanes - 1) * LANE_PIXELS;
        html! {
            span.name {
                @match &strip.link {
                    Some(link) => a href=(link) { (strip.name) },
                    None => (strip.name),
                }
            }
            svg.strip aria-hidden="true" height=(height) width="100%" {
                @for tick in self.axis.ticks(MOST_TICKS) {
                    @let x = percent(self.axis.share(tick));
                    line.grid x1=(x) x2=(x) y1="0" y2="100%" {}
                }
                @if let Look::BarsFrom(from) = self.look {
                    @let x = percent(self.axis.share(from));
                    line.base x1=(x) x2=(x) y1="0" y2="100%" {}
                }
                @for (at, mark) in strip.marks.iter().enumerate() {
                    @let lane = if self.look == Look::Points { mark.series } else { at };
                    (self.mark(mark, EDGE_PIXELS + lane * LANE_PIXELS))
                }
            }
            span.words { (strip.words) }
        }
    }

    fn mark(&self, mark: &Mark, y: usize) -> Markup {
        let x = percent(self.axis.share(mark.value));
        let colour = format!("c{}", mark.series % COLOURS);
        html! {
            g class=(colour) {
                @if let Look::BarsFrom(from) = self.look {
                    @let (a, b) = (self.axis.share(from), self.axis.share(mark.value));
                    rect.bar x=(percent(a.min(b))) y=(y - 4) width=(percent((a - b).abs())) height="8" {}
                }
                @if let Some(i) = mark.interval {
                    line.interval x1=(percent(self.axis.share(i.lo))) x2=(percent(self.axis.share(i.hi))) y1=(y) y2=(y) {}
                }
                @if self.look == Look::Points {
                    @match mark.series {
                        0 => circle cx=(x) cy=(y) r="4" {},
                        // A path has no shares: a nested picture is put there instead.
                        1 => svg x=(x) y=(y) overflow="visible" { rect x="-3.5" y="-3.5" width="7" height="7" {} },
                        2 => svg x=(x) y=(y) overflow="visible" { path d="M0-5L5 0L0 5L-5 0Z" {} },
                        _ => svg x=(x) y=(y) overflow="visible" { path d="M0-4.5L5 4.5H-5Z" {} },
                    }
                }
            }
        }
    }

    fn ticks_line(&self) -> Markup {
        html! {
            div.axis aria-hidden="true" {
                span.name {}
                svg.strip height="20" width="100%" {
                    @for tick in self.axis.ticks(MOST_TICKS) {
                        @let share = self.axis.share(tick);
                        @let anchor = if share < 0.06 { "start" } else if share > 0.94 { "end" } else { "middle" };
                        text x=(percent(share)) y="14" text-anchor=(anchor) { (tick_label(&(self.format)(tick))) }
                    }
                }
                span.words {}
            }
        }
    }
}

/// How many colours there are, after which they come again.
pub(crate) const COLOURS: usize = 8;

/// What each series is, by its colour and sign; nothing for one alone.
#[must_use]
pub fn series_key(series: &[String]) -> Markup {
    html! {
        @if series.len() > 1 {
            ul.key { @for (at, name) in series.iter().enumerate() {
                li {
                    svg.sign.{ "c" (at % COLOURS) } width="14" height="12" aria-hidden="true" {
                        @match at {
                            0 => circle cx="7" cy="6" r="4" {},
                            1 => rect x="3.5" y="2.5" width="7" height="7" {},
                            2 => path d="M7 1L12 6L7 11L2 6Z" {},
                            _ => path d="M7 1.5L12 10.5H2Z" {},
                        }
                    }
                    (name)
                }
            } }
        }
    }
}

/// A part of a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// 0 to 1.
    pub share: f64,
    /// Its figures in words.
    pub words: String,
}

/// One bar made of `parts`, and what they are; empty without any.
#[must_use]
pub fn stacked_bar(caption: &str, parts: &[Part]) -> Markup {
    if parts.is_empty() {
        return html! {};
    }
    let begins = parts.iter().scan(0.0, |sum, part| {
        let begin = *sum;
        *sum += part.share;
        Some(begin)
    });
    let begins: Vec<f64> = begins.collect();
    html! {
        figure.stacked {
            figcaption { (caption) }
            svg.strip aria-hidden="true" height="22" width="100%" {
                @for (at, (part, begin)) in parts.iter().zip(begins).enumerate() {
                    rect.bar.{ "c" (at % COLOURS) } x=(percent(begin)) y="1" width=(percent(part.share)) height="20" {
                        title { (part.name) ": " (part.words) }
                    }
                }
            }
            ol.parts { @for (at, part) in parts.iter().enumerate() {
                li {
                    svg.sign.{ "c" (at % COLOURS) } width="12" height="12" aria-hidden="true" { rect width="12" height="12" {} }
                    span.name { (part.name) } " " span.words { (part.words) }
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::axis::{Counts, Scale};
    use super::*;

    fn strips(name: &str, look: Look) -> String {
        let axis = Axis::around(Scale::Log, Counts::Tens, [1.0, 100.0]).expect("values");
        let mark = |series, value| Mark {
            series,
            value,
            interval: Some(Interval {
                lo: value / 2.0,
                hi: value * 2.0,
            }),
        };
        let strips = Strips {
            caption: "times",
            series: &["a".to_owned(), "b".to_owned()],
            strips: vec![Strip {
                name: name.to_owned(),
                link: Some("#x".to_owned()),
                marks: vec![mark(0, 10.0), mark(1, 1.0)],
                words: "10 ns".to_owned(),
            }],
            axis,
            format: crate::format::duration_ns,
            look,
        };
        strips.figure().into_string()
    }

    #[test]
    fn every_mark_is_drawn_with_its_interval_and_said_in_words() {
        let points = strips("wasm", Look::Points);
        assert_eq!(points.matches("class=\"interval\"").count(), 2, "{points}");
        assert!(points.contains(r#"<circle cx="50.00%""#), "{points}");
        assert!(points.contains("10 ns") && points.contains(r##"href="#x""##));
        let bars = strips("wasm", Look::BarsFrom(1.0));
        assert_eq!(bars.matches("class=\"bar\"").count(), 2, "{bars}");
        assert!(!strips("<script>", Look::Points).contains("<script"));
    }

    #[test]
    fn parts_lie_end_to_end() {
        let part = |name: &str, share| Part {
            name: name.to_owned(),
            share,
            words: String::new(),
        };
        let bar = stacked_bar("c", &[part("a", 0.25), part("b", 0.75)]).into_string();
        assert!(bar.contains(r#"x="25.00%" y="1" width="75.00%""#), "{bar}");
    }
}
