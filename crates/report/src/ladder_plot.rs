//! The ladder as an SVG plot: what one start takes against what one more worker weighs, both axes
//! logarithmic, a point per rung. A rung of which only one of the two is known lies on the other axis' edge,
//! hollow, so that every rung is there.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use stats::Interval;
use stats::levels::Estimate;

use crate::drawing::{Area, COLOURS, Drawn, GREY, decades, text_style};
use crate::format::{count, duration_ns};
use crate::memory::Quantity;
use crate::summary::{RunSummary, RungSummary};
use crate::time::DesignRow;

/// The file's name.
pub(crate) const FILE: &str = "ladder.svg";

const SIZE_PIXELS: (u32, u32) = (1000, 700);
/// Room for the longest name at the right of a point.
const LABEL_PIXELS: i32 = 150;
const LABEL_HEIGHT_PIXELS: i32 = 14;
/// Of one letter, about: the viewer chooses the font.
const LETTER_PIXELS: i32 = 7;
/// From a point's middle to its label.
const LABEL_GAP_PIXELS: i32 = 7;
const POINT_PIXELS: i32 = 4;

/// A rung.
#[derive(Debug, Clone)]
struct Point {
    rung: String,
    driver: String,
    /// Isolated; of an old run pooled.
    start_ns: Option<f64>,
    start_interval: Option<Interval>,
    back_to_back: Option<Estimate>,
    bytes: Option<f64>,
    bytes_interval: Option<Interval>,
}

impl Point {
    fn loop_ns(&self) -> Option<f64> {
        self.back_to_back.map(|found| found.value)
    }
}

/// The plot; `None` if no rung has both a start time and a weight, or all of a kind is missing.
pub(crate) fn svg(summary: &RunSummary<'_>) -> Option<String> {
    let points = points(summary);
    if !points
        .iter()
        .any(|p| p.start_ns.is_some() && p.bytes.is_some())
    {
        return None;
    }
    let mut content = String::new();
    // A string takes every write.
    draw(&points, &mut content).ok()?;
    Some(content)
}

fn points(summary: &RunSummary<'_>) -> Vec<Point> {
    let point = |rung: &RungSummary<'_>| {
        let time = rung.time.as_ref();
        let median = |row: &DesignRow| row.median;
        let isolated = time.and_then(|row| row.isolated.as_ref()).map(median);
        let loops = time.and_then(|row| row.back_to_back.as_ref()).map(median);
        let pooled = time.and_then(|row| row.pooled).map(|pooled| pooled.median);
        // A slope of nothing, or below it, has no place on a logarithmic axis.
        let fit = rung.fit(&Quantity::PSS).filter(|fit| fit.slope > 0.0);
        Point {
            driver: rung.info.map_or_else(String::new, |r| r.driver.clone()),
            start_ns: isolated.map(|i| i.value).or(pooled).filter(|&ns| ns > 0.0),
            start_interval: isolated.and_then(|i| i.interval.ok()),
            back_to_back: loops.filter(|l| l.value > 0.0),
            bytes: fit.map(|f| f.slope),
            bytes_interval: fit.and_then(|f| f.slope_interval),
            rung: rung.rung.to_owned(),
        }
    };
    let all = summary.rungs.iter().map(point);
    all.filter(|p| p.start_ns.is_some() || p.bytes.is_some())
        .collect()
}

fn draw(points: &[Point], content: &mut String) -> Drawn {
    let root = SVGBackend::with_string(content, SIZE_PIXELS).into_drawing_area();
    root.fill(&WHITE)?;
    let x = decades(points.iter().filter_map(|p| p.bytes));
    let starts = points.iter().flat_map(|p| [p.start_ns, p.loop_ns()]);
    let y = decades(starts.flatten());
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "One cold start against the memory of one more worker",
            ("sans-serif", 18),
        )
        .margin(12)
        .margin_right(LABEL_PIXELS)
        .x_label_area_size(45)
        .y_label_area_size(80)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc("PSS of one more parked worker (slope, 95 % interval)")
        .y_desc("one start, median (95 % interval): circle isolated, cross back to back")
        .x_label_formatter(&|v| format!("{}B", count(*v)))
        .y_label_formatter(&|v| duration_ns(*v))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 12))
        .draw()?;
    let drivers = drivers(points);
    let places: Vec<(f64, f64)> = points
        .iter()
        .map(|p| (p.bytes.unwrap_or(x.start), p.start_ns.unwrap_or(y.start)))
        .collect();
    let mut taken: Vec<Patch> = vec![legend_box(&drivers)?];
    taken.extend(
        places
            .iter()
            .map(|at| Patch::around(chart.backend_coord(at), POINT_PIXELS)),
    );
    for (point, at) in points.iter().zip(places) {
        let colour = colour(&drivers, &point.driver);
        draw_point(&mut chart, point, at, &colour)?;
        label(&root, point, chart.backend_coord(&at), &colour, &mut taken)?;
    }
    legend(&root, &drivers)?;
    root.present()?;
    Ok(())
}

/// What is drawn into: both axes are logarithmic.
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

/// The marks of `point`, which lies at `at`, with their intervals, as far as these are on the plot.
fn draw_point(
    chart: &mut Chart<'_, '_>,
    point: &Point,
    at: (f64, f64),
    colour: &RGBColor,
) -> Drawn {
    let (x, y) = (chart.x_range(), chart.y_range());
    let within_x = |v: f64| v.clamp(x.start, x.end);
    let within_y = |v: f64| v.clamp(y.start, y.end);
    if let (Some(i), Some(ns)) = (point.bytes_interval, point.start_ns) {
        let ends = [within_x(i.lo), within_x(i.hi)];
        chart.draw_series([PathElement::new(ends.map(|v| (v, ns)), colour.mix(0.5))])?;
    }
    if let (Some(i), Some(weight)) = (point.start_interval, point.bytes) {
        let ends = [within_y(i.lo), within_y(i.hi)];
        chart.draw_series([PathElement::new(ends.map(|v| (weight, v)), colour.mix(0.5))])?;
    }
    let style = ShapeStyle {
        color: colour.to_rgba(),
        filled: point.bytes.is_some() && point.start_ns.is_some(),
        stroke_width: 1,
    };
    chart.draw_series([Circle::new(at, POINT_PIXELS, style)])?;
    if let (Some(ns), Some(weight)) = (point.loop_ns(), point.bytes) {
        let thin = ShapeStyle::from(&colour.mix(0.7)).stroke_width(1);
        chart.draw_series([Cross::new((weight, ns), POINT_PIXELS, thin)])?;
        if let Some(i) = point.back_to_back.and_then(|l| l.interval.ok()) {
            let ends = [within_y(i.lo), within_y(i.hi)];
            chart.draw_series([PathElement::new(ends.map(|v| (weight, v)), colour.mix(0.3))])?;
        }
    }
    Ok(())
}

/// Writes the name of `point`, which lies at `at`, beside it, or as near as nothing that is `taken` is covered,
/// with a line to it then.
fn label(
    root: &Area<'_>,
    point: &Point,
    at: (i32, i32),
    colour: &RGBColor,
    taken: &mut Vec<Patch>,
) -> Drawn {
    let note = match (point.bytes, point.start_ns) {
        (None, _) => " (memory not measured)",
        (_, None) => " (start not measured)",
        _ => "",
    };
    let text = format!("{}{note}", point.rung);
    let width = i32::try_from(text.len())? * LETTER_PIXELS;
    let place = free_place(taken, at, width);
    taken.push(place);
    let middle = (place.top + place.bottom) / 2;
    let (edge, anchor) = if place.left > at.0 {
        (place.left, HPos::Left)
    } else {
        (place.right, HPos::Right)
    };
    if (middle - at.1).abs() > LABEL_HEIGHT_PIXELS / 2 {
        let line = PathElement::new([at, (edge, middle)], colour.mix(0.3));
        root.draw(&line)?;
    }
    let style = text_style(colour, anchor, VPos::Center);
    root.draw_text(&text, &style, (edge, middle))?;
    Ok(())
}

/// A part of the picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patch {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Patch {
    fn around((x, y): (i32, i32), distance: i32) -> Self {
        Self {
            left: x - distance,
            top: y - distance,
            right: x + distance,
            bottom: y + distance,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// Where a label of `width` for the point `at` covers none of `taken`: right or left of the point, as little
/// below or above as it takes.
fn free_place(taken: &[Patch], at: (i32, i32), width: i32) -> Patch {
    let place = |left: i32, middle: i32| Patch {
        left,
        top: middle - LABEL_HEIGHT_PIXELS / 2,
        right: left + width,
        bottom: middle + LABEL_HEIGHT_PIXELS / 2,
    };
    let (right, left) = (at.0 + LABEL_GAP_PIXELS, at.0 - LABEL_GAP_PIXELS - width);
    let steps = (0..60).flat_map(|step| [step, -step]);
    let places = steps.flat_map(|step| [right, left].map(|x| place(x, at.1 + step * 4)));
    let most = i32::try_from(SIZE_PIXELS.0).unwrap_or(i32::MAX);
    let mut inside = places.filter(|p| p.left >= 0 && p.right <= most);
    inside
        .find(|place| !taken.iter().any(|other| other.covers(place)))
        .unwrap_or_else(|| place(right, at.1))
}

fn drivers(points: &[Point]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for point in points {
        if !found.contains(&point.driver) {
            found.push(point.driver.clone());
        }
    }
    found
}

fn colour(drivers: &[String], driver: &str) -> RGBColor {
    let index = drivers.iter().position(|d| d == driver).unwrap_or_default();
    COLOURS.get(index).copied().unwrap_or(GREY)
}

/// Where the names of the drivers are, at the right below.
fn legend_box(drivers: &[String]) -> Result<Patch, std::num::TryFromIntError> {
    let right = i32::try_from(SIZE_PIXELS.0)?;
    let top = i32::try_from(SIZE_PIXELS.1)? - 140;
    Ok(Patch {
        left: right - LABEL_PIXELS + 15,
        top,
        right,
        bottom: top + i32::try_from(drivers.len())? * LABEL_HEIGHT_PIXELS,
    })
}

fn legend(root: &Area<'_>, drivers: &[String]) -> Drawn {
    let place = legend_box(drivers)?;
    for (line, driver) in (0..).zip(drivers.iter().filter(|d| !d.is_empty())) {
        let colour = colour(drivers, driver);
        let style = text_style(&colour, HPos::Left, VPos::Top);
        let at = (place.left, place.top + line * LABEL_HEIGHT_PIXELS);
        root.draw_text(driver, &style, at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(rung: &str, start_ns: Option<f64>, weight: Option<f64>) -> Point {
        Point {
            rung: rung.into(),
            driver: "some-driver".into(),
            start_ns,
            start_interval: None,
            back_to_back: start_ns.map(|ns| Estimate {
                value: ns / 20.0,
                interval: Ok(Interval {
                    lo: ns / 25.0,
                    hi: ns / 10.0,
                }),
                processes: 10,
                starts: 600,
            }),
            bytes: weight,
            bytes_interval: Some(Interval { lo: -5.0, hi: 1e12 }),
        }
    }

    #[test]
    fn every_rung_is_on_it_whatever_is_missing_or_equal() {
        let points = [
            point("wasm", Some(6e3), Some(2e4)),
            point("faaslet", Some(6e3), Some(2e4)),
            point("only-time", Some(3e8), None),
            point("only-memory", None, Some(3e6)),
        ];
        let mut content = String::new();
        draw(&points, &mut content).expect("drawn");
        for part in [
            "wasm",
            "faaslet",
            "only-time (memory not measured)",
            "only-memory (start not measured)",
            "some-driver",
            "<circle",
        ] {
            assert!(content.contains(part), "{part}");
        }
        assert!(
            !content.contains("NaN") && !content.contains("inf"),
            "{content}"
        );
    }

    #[test]
    fn labels_cover_neither_each_other_nor_points() {
        let points = [(100, 100), (110, 100), (120, 100), (100, 104), (990, 100)];
        let mut taken: Vec<Patch> = points.map(|at| Patch::around(at, POINT_PIXELS)).to_vec();
        for at in points {
            let place = free_place(&taken, at, 90);
            assert!(!taken.iter().any(|other| other.covers(&place)), "{place:?}");
            assert!(place.right <= 1000, "{place:?}");
            taken.push(place);
        }
        // Where there is room it is beside its point.
        let alone = free_place(&taken, (500, 300), 90);
        assert_eq!((alone.left, alone.top), (507, 293));
    }
}
