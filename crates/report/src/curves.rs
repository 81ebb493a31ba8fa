//! A line for each rung on one log-log SVG plot, its name where it ends.

use std::ops::Range;

use plotters::prelude::*;

use crate::drawing::{COLOURS, Drawn, decades, names};

const SIZE_PIXELS: (u32, u32) = (1000, 650);
/// Room for names at the right of the lines.
const LABEL_PIXELS: i32 = 190;
/// From where a line ends to its name.
const LABEL_GAP_PIXELS: i32 = 8;

/// A rung's line, and crosses beside it; all coordinates above zero.
#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) line: Vec<(f64, f64)>,
    pub(crate) crosses: Vec<(f64, f64)>,
}

/// What the plot is of.
pub(crate) struct Plot {
    pub(crate) caption: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) x_in_words: fn(f64) -> String,
    pub(crate) y_in_words: fn(f64) -> String,
    /// Where the axis of x begins, if not at the decade below the least.
    pub(crate) x_from: Option<f64>,
}

impl Plot {
    /// The plot of `curves`; `None` if none has a line.
    pub(crate) fn svg(&self, curves: &[Curve]) -> Option<String> {
        if curves.iter().all(|curve| curve.line.is_empty()) {
            return None;
        }
        let mut content = String::new();
        // A string takes every write.
        self.draw(curves, &mut content).ok()?;
        Some(content)
    }

    fn ends(&self, curves: &[Curve]) -> (Range<f64>, Range<f64>) {
        let points = curves
            .iter()
            .flat_map(|curve| curve.line.iter().chain(&curve.crosses));
        let mut x = decades(points.clone().map(|(x, _)| *x));
        if let Some(from) = self.x_from {
            x.start = from;
        }
        (x, decades(points.map(|(_, y)| *y)))
    }

    fn draw(&self, curves: &[Curve], content: &mut String) -> Drawn {
        let root = SVGBackend::with_string(content, SIZE_PIXELS).into_drawing_area();
        root.fill(&WHITE)?;
        let (x, y) = self.ends(curves);
        let mut chart = ChartBuilder::on(&root)
            .caption(self.caption, ("sans-serif", 18))
            .margin(12)
            .margin_right(LABEL_PIXELS)
            .x_label_area_size(45)
            .y_label_area_size(80)
            .build_cartesian_2d(x.log_scale(), y.log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.x)
            .y_desc(self.y)
            .x_label_formatter(&|v| (self.x_in_words)(*v))
            .y_label_formatter(&|v| (self.y_in_words)(*v))
            .light_line_style(WHITE.mix(0.0))
            .bold_line_style(BLACK.mix(0.12))
            .label_style(("sans-serif", 12))
            .draw()?;
        let mut labels = Vec::new();
        for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let style = ShapeStyle::from(colour).stroke_width(2);
            chart.draw_series(LineSeries::new(curve.line.clone(), style))?;
            let dots = curve.line.iter();
            chart.draw_series(dots.map(|&at| Circle::new(at, 3, colour.filled())))?;
            let thin = ShapeStyle::from(&colour.mix(0.5)).stroke_width(1);
            let crosses = curve.crosses.iter();
            chart.draw_series(crosses.map(|&at| Cross::new(at, 3, thin)))?;
            if let Some(last) = curve.line.last() {
                let (x, y) = chart.backend_coord(last);
                labels.push(((x + LABEL_GAP_PIXELS, y), curve.name.as_str(), *colour));
            }
        }
        names(&root, labels)?;
        root.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::NAME_HEIGHT_PIXELS;

    const PLOT: Plot = Plot {
        caption: "caption",
        x: "x",
        y: "y",
        x_in_words: |v| format!("{v}"),
        y_in_words: |v| format!("{v}"),
        x_from: None,
    };

    #[test]
    fn every_curve_is_drawn_and_named_and_no_name_covers_another() {
        let curve = |name: &str| Curve {
            name: name.into(),
            line: vec![(1.0, 10.0), (10.0, 20.0)],
            crosses: vec![(1.0, 30.0)],
        };
        let svg = PLOT.svg(&[curve("one"), curve("two")]).expect("drawn");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let place = |name: &str| {
            let lines: Vec<&str> = svg.lines().collect();
            let at = lines.iter().position(|line| line.trim() == name)?;
            let (_, rest) = lines[at - 1].split_once(" y=\"")?;
            rest.split_once('"')?.0.parse::<i32>().ok()
        };
        let (one, two) = (place("one").expect("named"), place("two").expect("named"));
        assert!((one - two).abs() >= NAME_HEIGHT_PIXELS, "{one} {two}");
    }

    #[test]
    fn nothing_to_draw_is_no_plot() {
        assert_eq!(PLOT.svg(&[]), None);
        let empty = Curve {
            name: "empty".into(),
            line: Vec::new(),
            crosses: Vec::new(),
        };
        assert_eq!(PLOT.svg(&[empty]), None);
    }
}
