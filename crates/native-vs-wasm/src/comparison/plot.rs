//! The ratios as an SVG plot: a line per benchmark, a point with its interval per column, on a logarithmic
//! axis, since twice as fast and twice as slow are the same distance from 1.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::records::Comparison;
use super::rows::{Mean, Row, common_against, has_ratio, means};
use report::ratio;

const LINE_PIXELS: u32 = 20;
const MARGIN_PIXELS: u32 = 120;
const NAME_PIXELS: u32 = 200;
const WIDTH_PIXELS: u32 = 900;
/// Colour-blind safe (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// The plot of `group`, if it has a ratio.
pub(super) fn svg(comparison: &Comparison, group: &str, rows: &[Row<'_>]) -> Option<String> {
    let of_group: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| row.benchmark.group == group && has_ratio(row))
        .collect();
    if of_group.is_empty() {
        return None;
    }
    let found = means(comparison, rows);
    let found: Vec<&Mean<'_>> = found.iter().filter(|m| m.group == group).collect();
    let mut content = String::new();
    // A string takes every write.
    draw(comparison, group, &of_group, &found, &mut content).ok()?;
    Some(content)
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;

fn draw(
    comparison: &Comparison,
    group: &str,
    rows: &[&Row<'_>],
    means: &[&Mean<'_>],
    content: &mut String,
) -> Drawn {
    let lines = u32::try_from(rows.len() + means.len())?;
    let height = MARGIN_PIXELS + LINE_PIXELS * lines;
    let root = SVGBackend::with_string(content, (WIDTH_PIXELS, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let of = if group.is_empty() {
        String::new()
    } else {
        format!(", {group}")
    };
    let title = format!(
        "{}{of}: ratios of kernel times, 95 % intervals",
        comparison.info.title
    );
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 15))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(NAME_PIXELS)
        .right_y_label_area_size(20)
        .build_cartesian_2d(extent(rows).log_scale(), f64::from(lines)..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .y_labels(0)
        .x_labels(10)
        .x_label_formatter(&|x| ratio(*x))
        .x_desc("ratio (log scale; left of 1 is faster)")
        .draw()?;
    chart.draw_series([PathElement::new(
        [(1.0, 0.0), (1.0, f64::from(lines))],
        BLACK.stroke_width(1),
    )])?;
    points(comparison, rows, &mut chart)?;
    mean_lines(comparison, rows.len(), means, &mut chart)?;
    names(&root, &chart, rows, means)?;
    chart
        .configure_series_labels()
        .border_style(BLACK)
        .background_style(WHITE)
        .position(SeriesLabelPosition::LowerRight)
        .draw()?;
    root.present()?;
    Ok(())
}

/// All ratios and their intervals, 1, and some room.
fn extent(rows: &[&Row<'_>]) -> Range<f64> {
    let (mut low, mut high) = (0.95_f64, 1.05_f64);
    let ratios = rows
        .iter()
        .flat_map(|row| &row.cells)
        .filter_map(|cell| cell.kernel.ratio);
    for found in ratios {
        let ends = found.interval.map_or([found.value; 2], |i| [i.lo, i.hi]);
        for value in [found.value, ends[0], ends[1]] {
            low = low.min(value);
            high = high.max(value);
        }
    }
    low / 1.05..high * 1.05
}

fn colour(comparison: &Comparison, column: &str) -> RGBColor {
    let others = comparison
        .info
        .compared()
        .filter(|c| Some(&c.name) != comparison.info.reference.as_ref());
    let index = others.take_while(|c| c.name != column).count();
    COLOURS[index % COLOURS.len()]
}

fn points(comparison: &Comparison, rows: &[&Row<'_>], chart: &mut Chart<'_, '_>) -> Drawn {
    // Columns lie one below the other within a benchmark's line.
    let step = 1.0 / comparison.info.compared().count().max(1) as f64;
    let mut height = step;
    for column in comparison.info.compared() {
        if Some(&column.name) == comparison.info.reference.as_ref() {
            continue;
        }
        let colour = colour(comparison, &column.name);
        let mut found = Vec::new();
        for (line, row) in rows.iter().enumerate() {
            if let Some(ratio) = row.cell(&column.name).and_then(|cell| cell.kernel.ratio) {
                found.push((line as f64 + height, ratio));
            }
        }
        height += step;
        let Some(against) = common_against(&column.name, rows) else {
            continue;
        };
        let intervals = found.iter().filter_map(|(y, ratio)| {
            let i = ratio.interval.ok()?;
            let ends = [(i.lo, *y), (i.hi, *y)];
            Some(PathElement::new(ends, colour.stroke_width(2)))
        });
        chart.draw_series(intervals)?;
        let points = found
            .iter()
            .map(|(y, ratio)| Circle::new((ratio.value, *y), 4, colour.filled()));
        chart
            .draw_series(points)?
            .label(format!("{} / {against}", column.name))
            .legend(move |(x, y)| Circle::new((x + 8, y), 4, colour.filled()));
    }
    Ok(())
}

fn mean_lines(
    comparison: &Comparison,
    first: usize,
    means: &[&Mean<'_>],
    chart: &mut Chart<'_, '_>,
) -> Drawn {
    for (line, mean) in (first..).zip(means) {
        let y = line as f64 + 0.5;
        let colour = colour(comparison, mean.column);
        let value = mean.kernel.mean;
        if let Ok(i) = mean.kernel.these_again {
            let ends = [(i.lo, y), (i.hi, y)];
            chart.draw_series([PathElement::new(ends, colour.stroke_width(2))])?;
        }
        chart.draw_series([TriangleMarker::new((value, y), 7, colour.filled())])?;
        chart.draw_series([PathElement::new(
            [(value, 0.0), (value, y)],
            colour.mix(0.4).stroke_width(1),
        )])?;
    }
    Ok(())
}

/// Written beside the chart: names are no numbers of an axis.
fn names(root: &Area<'_>, chart: &Chart<'_, '_>, rows: &[&Row<'_>], means: &[&Mean<'_>]) -> Drawn {
    let style = ("sans-serif", 12).into_text_style(root);
    let texts = rows.iter().map(|row| row.benchmark.name.clone()).chain(
        means
            .iter()
            .map(|m| format!("mean of {}: {}", m.column, ratio(m.kernel.mean))),
    );
    for (line, text) in texts.enumerate() {
        let (_, y) = chart.backend_coord(&(1.0, line as f64 + 0.5));
        root.draw(&Text::new(text, (15, y - 6), style.clone()))?;
    }
    Ok(())
}

/// The name of the plot of `group`.
pub(super) fn plot_name(group: &str) -> String {
    if group.is_empty() {
        "ratios.svg".to_owned()
    } else {
        format!("ratios-{}.svg", group.to_ascii_lowercase())
    }
}
