//! The plots: latency over the rate of arrivals, and how latencies are spread at each rate.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use stats::levels::CountedProcess;

use super::knee::Knee;
use super::rungs::RungLoad;
use crate::Rendered;
use crate::drawing::{Area, COLOURS, Drawn, GREY, decades, names, text_style};
use crate::format::{count, duration_ns};
use crate::paper::{PUBLISHED, Published, is_asked_for};
use crate::summary::RunSummary;

/// Latency over rate, all rungs.
pub(super) const LATENCY_FILE: &str = "load.svg";
/// Share of starts below a latency, a panel per rung.
pub(super) const SHARES_FILE: &str = "load-shares.svg";
/// What the plot says of the original's curves.
const WHOSE: &str = "dashed: published, another machine";

const SIZE_PIXELS: (u32, u32) = (1000, 700);
/// A panel of the second plot.
const PANEL_PIXELS: (u32, u32) = (500, 300);
const PANELS_IN_A_ROW: usize = 2;
/// Room for the longest name at the right of a curve.
const LABEL_PIXELS: i32 = 190;
const POINT_PIXELS: i32 = 3;
/// After [`COLOURS`].
const MORE_COLOURS: [RGBColor; 3] = [
    RGBColor(0, 0, 0),
    RGBColor(128, 0, 128),
    RGBColor(128, 128, 0),
];

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

/// Both plots; none without any point that counts.
pub(crate) fn plots(summary: &RunSummary<'_>) -> Vec<Rendered> {
    let curves: Vec<Curve> = summary.loads.iter().filter_map(Curve::from_load).collect();
    if curves.is_empty() {
        return Vec::new();
    }
    let with_published = is_asked_for(summary);
    let (mut latency, mut shares) = (String::new(), String::new());
    // A string takes every write.
    let drawn = [
        (
            LATENCY_FILE,
            draw_latency(&curves, with_published, &mut latency),
        ),
        (SHARES_FILE, draw_shares(&curves, &mut shares)),
    ];
    drawn
        .into_iter()
        .zip([latency, shares])
        .filter(|((_, drawn), _)| drawn.is_ok())
        .map(|((name, _), content)| Rendered { name, content })
        .collect()
}

/// A rung, as it is drawn.
struct Curve {
    name: String,
    slo_ns: f64,
    knee_per_s: Option<f64>,
    rates: Vec<AtRate>,
}

struct AtRate {
    offered_per_s: f64,
    p50_ns: f64,
    p99_ns: f64,
    all: CountedProcess,
}

impl Curve {
    fn from_load(load: &RungLoad) -> Option<Self> {
        let rates = load.rates.iter().filter_map(|row| {
            let all = row.latency.pooled();
            Some(AtRate {
                offered_per_s: row.offered_per_s,
                p50_ns: all.quantile(0.5)?,
                p99_ns: all.quantile(0.99)?,
                all,
            })
        });
        let rates: Vec<AtRate> = rates.collect();
        let has_any = rates.iter().any(|rate| rate.p50_ns.is_finite());
        has_any.then(|| Self {
            name: load.rung.clone(),
            slo_ns: load.slo_ns as f64,
            knee_per_s: match &load.knee {
                Knee::At(found) => Some(found.value),
                _ => None,
            },
            rates,
        })
    }

    /// Where each rate lies by one of its latencies, as far as that is finite.
    fn line(&self, latency: fn(&AtRate) -> f64) -> Vec<(f64, f64)> {
        let points = self.rates.iter().map(|r| (r.offered_per_s, latency(r)));
        points
            .filter(|&(_, ns)| ns.is_finite() && ns > 0.0)
            .collect()
    }
}

fn colour(index: usize) -> RGBColor {
    let mut all = COLOURS.iter().chain(&MORE_COLOURS);
    all.nth(index).copied().unwrap_or(GREY)
}

fn draw_latency(curves: &[Curve], with_published: bool, content: &mut String) -> Drawn {
    let root = SVGBackend::with_string(content, SIZE_PIXELS).into_drawing_area();
    root.fill(&WHITE)?;
    let published = if with_published { &PUBLISHED[..] } else { &[] };
    let rates = curves
        .iter()
        .flat_map(|c| c.rates.iter().map(|r| r.offered_per_s));
    let x = decades(rates.chain(published.iter().flat_map(|p| [p.follows_to_per_s, 1.0])));
    let latencies = curves
        .iter()
        .flat_map(|c| c.rates.iter().flat_map(|r| [r.p50_ns, r.p99_ns]));
    let y = decades(latencies.chain(published.iter().map(|p| p.start_ns)));
    let mut chart = ChartBuilder::on(&root)
        .caption("A start under load", ("sans-serif", 18))
        .margin(12)
        .margin_right(LABEL_PIXELS)
        .x_label_area_size(45)
        .y_label_area_size(80)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc("arrivals a second (open loop)")
        .y_desc("from due to torn down: circles and line p50, crosses and thin line p99, triangle the knee")
        .x_label_formatter(&|v| count(*v))
        .y_label_formatter(&|v| duration_ns(*v))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 12))
        .draw()?;
    let right = i32::try_from(SIZE_PIXELS.0)? - LABEL_PIXELS + 6;
    let mut labels = Vec::new();
    for (index, curve) in curves.iter().enumerate() {
        let colour = colour(index);
        draw_curve(&mut chart, curve, y.clone(), colour)?;
        if let Some(last) = curve.line(|r| r.p50_ns).last() {
            let (_, y) = chart.backend_coord(last);
            labels.push(((right, y), curve.name.as_str(), colour));
        }
    }
    for one in published {
        draw_published(&root, &mut chart, one, (x.start, y.end))?;
    }
    names(&root, labels)?;
    if with_published {
        let style = text_style(&GREY, HPos::Right, VPos::Bottom);
        let at = (
            i32::try_from(SIZE_PIXELS.0)? - 10,
            i32::try_from(SIZE_PIXELS.1)? - 8,
        );
        root.draw_text(WHOSE, &style, at)?;
    }
    root.present()?;
    Ok(())
}

/// Both percentiles of a rung, and its knee where that lies within `y`.
fn draw_curve(chart: &mut Chart<'_, '_>, curve: &Curve, y: Range<f64>, colour: RGBColor) -> Drawn {
    let (p50, p99) = (curve.line(|r| r.p50_ns), curve.line(|r| r.p99_ns));
    let thick = colour.stroke_width(2);
    chart.draw_series(LineSeries::new(p50.iter().copied(), thick))?;
    chart.draw_series(LineSeries::new(p99.iter().copied(), colour.mix(0.5)))?;
    let circle = |&at: &(f64, f64)| Circle::new(at, POINT_PIXELS, colour.filled());
    chart.draw_series(p50.iter().map(circle))?;
    let cross = |&at: &(f64, f64)| Cross::new(at, POINT_PIXELS, colour.mix(0.7));
    chart.draw_series(p99.iter().map(cross))?;
    if let Some(knee) = curve.knee_per_s {
        let at = (knee, curve.slo_ns.clamp(y.start, y.end));
        let mark = TriangleMarker::new(at, POINT_PIXELS * 2, colour.filled());
        chart.draw_series([mark])?;
    }
    Ok(())
}

/// What was published of a runtime: as long as it follows, and that it then fails.
fn draw_published(
    root: &Area<'_>,
    chart: &mut Chart<'_, '_>,
    one: &Published,
    (left_end, top_end): (f64, f64),
) -> Drawn {
    let follows = [left_end.max(1.0), one.follows_to_per_s].map(|rate| (rate, one.start_ns));
    let fails = [one.start_ns, top_end].map(|ns| (one.follows_to_per_s, ns));
    for line in [follows, fails] {
        chart.draw_series(DashedLineSeries::new(line, 6, 4, GREY.into()))?;
    }
    let (left, top) = chart.backend_coord(&(one.follows_to_per_s, one.start_ns));
    let style = text_style(&GREY, HPos::Right, VPos::Bottom);
    let name = format!("{} (published)", one.name);
    root.draw_text(&name, &style, (left - 4, top - 3))?;
    Ok(())
}

fn draw_shares(curves: &[Curve], content: &mut String) -> Drawn {
    let rows = curves.len().div_ceil(PANELS_IN_A_ROW);
    let across = u32::try_from(PANELS_IN_A_ROW)?;
    let size = (
        PANEL_PIXELS.0 * across,
        PANEL_PIXELS.1 * u32::try_from(rows)?,
    );
    let root = SVGBackend::with_string(content, size).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((rows, PANELS_IN_A_ROW));
    for (curve, panel) in curves.iter().zip(&panels) {
        draw_panel(curve, panel)?;
    }
    root.present()?;
    Ok(())
}

/// The shares at which a curve is drawn: as fine above as below would hide nothing of the tail.
const SHARES: usize = 200;

fn draw_panel(curve: &Curve, panel: &Area<'_>) -> Drawn {
    let ends = curve.rates.iter().flat_map(|rate| {
        let ends = [0.001, 0.999].map(|q| rate.all.quantile(q));
        ends.into_iter().flatten()
    });
    let mut chart = ChartBuilder::on(panel)
        .caption(&curve.name, ("sans-serif", 14))
        .margin(8)
        .margin_right(70)
        .x_label_area_size(30)
        .y_label_area_size(45)
        .build_cartesian_2d(decades(ends).log_scale(), 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_label_formatter(&|v| duration_ns(*v))
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 11))
        .draw()?;
    let most = curve.rates.len().max(2) - 1;
    let right = i32::try_from(PANEL_PIXELS.0)? - 64;
    for (index, rate) in curve.rates.iter().enumerate() {
        // From blue, the smallest rate, to red, the largest.
        let colour = HSLColor(0.66 * (1.0 - index as f64 / most as f64), 0.8, 0.42).to_rgba();
        let shares = (0..=SHARES).map(|k| k as f64 / SHARES as f64);
        let points = shares.filter_map(|share| Some((rate.all.quantile(share)?, share)));
        let points = points.filter(|(ns, _)| ns.is_finite() && *ns > 0.0);
        chart.draw_series(LineSeries::new(points, colour))?;
        let style = TextStyle::from(("sans-serif", 10).into_font()).color(&colour);
        let top = 30 + i32::try_from(index)? * 13;
        panel.draw_text(
            &format!("{}/s", count(rate.offered_per_s)),
            &style,
            (right, top),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, rates: &[(f64, f64)]) -> Curve {
        let at = |&(offered_per_s, ns): &(f64, f64)| AtRate {
            offered_per_s,
            p50_ns: ns,
            p99_ns: ns * 3.0,
            all: CountedProcess::from_values([(ns, 90), (ns * 3.0, 10)], 0),
        };
        Curve {
            name: name.into(),
            slo_ns: 1e6,
            knee_per_s: Some(150.0),
            rates: rates.iter().map(at).collect(),
        }
    }

    #[test]
    fn all_rungs_are_on_it_and_the_original_only_if_asked_for() {
        let curves = [
            curve("wasm", &[(100.0, 2e3), (200.0, 4e5)]),
            curve("docker-none", &[(1.0, 2e8), (3.0, f64::INFINITY)]),
        ];
        let drawn = |with_published| {
            let mut content = String::new();
            draw_latency(&curves, with_published, &mut content).expect("drawn");
            content
        };
        let ours = drawn(false);
        for part in ["wasm", "docker-none", "<circle"] {
            assert!(ours.contains(part), "{part}");
        }
        assert!(!ours.contains("published") && !ours.contains("NaN") && !ours.contains("inf"));
        let both = drawn(true);
        for one in PUBLISHED {
            assert!(both.contains(&format!("{} (published)", one.name)));
        }
        assert!(both.contains(WHOSE));
    }

    #[test]
    fn each_rung_has_a_panel_with_its_rates() {
        let curves: Vec<Curve> = ["a-rung", "b-rung", "c-rung"]
            .map(|name| curve(name, &[(100.0, 2e3), (2500.0, 4e5)]))
            .into();
        let mut content = String::new();
        draw_shares(&curves, &mut content).expect("drawn");
        for part in ["a-rung", "b-rung", "c-rung", "2.50 k/s"] {
            assert!(content.contains(part), "{part}");
        }
    }
}
