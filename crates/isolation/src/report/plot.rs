//! The verdicts as an SVG plot: a square for each probe at each rung.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::words::tried;
use crate::catalogue::PROBES;
use crate::cell::Cell;
use crate::letters;
use crate::record::Found;

const CELL_PIXELS: i32 = 22;
/// Room for the names of rungs and their letters.
const LEFT_PIXELS: i32 = 290;
/// Room for the names of probes, which stand upright.
const TOP_PIXELS: i32 = 190;
const MARGIN_PIXELS: i32 = 20;
const LEGEND_PIXELS: i32 = 60;
const FONT_PIXELS: i32 = 13;
/// Colour-blind safe (Okabe and Ito).
const CONTAINED: RGBColor = RGBColor(0, 114, 178);
const REACHED: RGBColor = RGBColor(213, 94, 0);
const CANNOT: RGBColor = RGBColor(225, 225, 225);
const NOT_TRIED: RGBColor = RGBColor(230, 159, 0);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The plot; none if no rung was tried.
pub(super) fn svg(found: &Found) -> Option<String> {
    let rows = i32::try_from(tried(found).count()).ok()?;
    if rows == 0 {
        return None;
    }
    let columns = i32::try_from(PROBES.len()).ok()?;
    let width = LEFT_PIXELS + columns * CELL_PIXELS + MARGIN_PIXELS;
    let height = TOP_PIXELS + rows * CELL_PIXELS + LEGEND_PIXELS;
    let mut content = String::new();
    // A string takes every write.
    draw(
        found,
        (width.cast_unsigned(), height.cast_unsigned()),
        &mut content,
    )
    .ok()?;
    Some(content)
}

fn draw(found: &Found, size: (u32, u32), content: &mut String) -> Drawn {
    let area = SVGBackend::with_string(content, size).into_drawing_area();
    area.fill(&WHITE)?;
    let left = ("sans-serif", FONT_PIXELS)
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let mono = ("monospace", FONT_PIXELS)
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let upright = ("sans-serif", FONT_PIXELS)
        .into_font()
        .transform(FontTransform::Rotate270)
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(
        "rung, stated, found",
        &left,
        (MARGIN_PIXELS, TOP_PIXELS - CELL_PIXELS / 2),
    )?;
    for (at, probe) in (0..).zip(PROBES) {
        let x = LEFT_PIXELS + at * CELL_PIXELS + CELL_PIXELS / 2;
        area.draw_text(probe.id, &upright, (x, TOP_PIXELS - 6))?;
    }
    for (at, rung) in (0..).zip(tried(found)) {
        let y = TOP_PIXELS + at * CELL_PIXELS;
        let middle = y + CELL_PIXELS / 2;
        area.draw_text(&rung.rung, &left, (MARGIN_PIXELS, middle))?;
        let words = format!(
            "{} {}",
            letters::stated(&rung.isolation),
            letters::found(rung)
        );
        area.draw_text(&words, &mono, (LEFT_PIXELS - 125, middle))?;
        for (column, probe) in (0..).zip(PROBES) {
            if let Some(cell) = rung.cells.get(probe.id) {
                square(&area, (LEFT_PIXELS + column * CELL_PIXELS, y), cell)?;
            }
        }
    }
    legend(&area, size.1.cast_signed() - LEGEND_PIXELS / 2)?;
    area.present()?;
    Ok(())
}

fn square(area: &Area<'_>, (x, y): (i32, i32), cell: &Cell) -> Drawn {
    let colour = match cell {
        Cell::Contained { .. } => CONTAINED,
        Cell::Reached => REACHED,
        Cell::CannotTry { .. } => CANNOT,
        Cell::NotTried { .. } => NOT_TRIED,
        Cell::Number { .. } => WHITE,
    };
    let corners = [(x + 1, y + 1), (x + CELL_PIXELS - 1, y + CELL_PIXELS - 1)];
    area.draw(&Rectangle::new(corners, colour.filled()))?;
    let on = if matches!(cell, Cell::Number { .. } | Cell::CannotTry { .. }) {
        BLACK
    } else {
        WHITE
    };
    let style = ("sans-serif", 11)
        .into_font()
        .color(&on)
        .pos(Pos::new(HPos::Center, VPos::Center));
    let sign = cell
        .number()
        .map_or_else(|| cell.sign().to_string(), |n| n.to_string());
    area.draw_text(&sign, &style, (x + CELL_PIXELS / 2, y + CELL_PIXELS / 2))?;
    Ok(())
}

fn legend(area: &Area<'_>, y: i32) -> Drawn {
    let style = ("sans-serif", FONT_PIXELS)
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let kinds = [
        ("contained", CONTAINED),
        ("reached", REACHED),
        ("cannot try", CANNOT),
        ("not tried", NOT_TRIED),
    ];
    for (at, (words, colour)) in (0..).zip(kinds) {
        let x = MARGIN_PIXELS + at * 120;
        area.draw(&Rectangle::new(
            [(x, y - 6), (x + 12, y + 6)],
            colour.filled(),
        ))?;
        area.draw_text(words, &style, (x + 18, y))?;
    }
    Ok(())
}
