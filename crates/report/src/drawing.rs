//! What plots share: colours, axes of whole decades, names beside what they name.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colour-blind safe (Okabe and Ito).
pub(crate) const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
/// Of what has no colour of its own.
pub(crate) const GREY: RGBColor = RGBColor(110, 110, 110);
/// From one name to the next below it.
pub(crate) const NAME_HEIGHT_PIXELS: i32 = 15;

pub(crate) type Drawn = Result<(), Box<dyn std::error::Error>>;
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Whole decades around those of `values` that have a place on a logarithmic axis.
pub(crate) fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let ends = values.filter(|v| v.is_finite() && *v > 0.0);
    let (least, most) = ends.fold((f64::INFINITY, 0_f64), |(l, m), v| (l.min(v), m.max(v)));
    if most == 0.0 {
        return 1.0..10.0;
    }
    let lo = 10f64.powf(least.log10().floor());
    let hi = 10f64.powf(most.log10().ceil());
    if hi > lo { lo..hi } else { lo..lo * 10.0 }
}

/// Text of a plot, of which the place it is written at is the side `across` and `along`.
pub(crate) fn text_style(colour: &RGBColor, across: HPos, along: VPos) -> TextStyle<'_> {
    TextStyle::from(("sans-serif", 12).into_font())
        .color(colour)
        .pos(Pos::new(across, along))
}

/// Writes each name right of its place, or as much below as those above it need.
pub(crate) fn names(root: &Area<'_>, mut names: Vec<((i32, i32), &str, RGBColor)>) -> Drawn {
    names.sort_by_key(|((_, y), ..)| *y);
    let mut free_from = 0;
    for ((x, y), name, colour) in names {
        let at = (x, y.max(free_from));
        free_from = at.1 + NAME_HEIGHT_PIXELS;
        root.draw_text(name, &text_style(&colour, HPos::Left, VPos::Center), at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_cover_whole_decades() {
        assert_eq!(decades([5e3, 2e8].into_iter()), 1e3..1e9);
        assert_eq!(decades([1e3].into_iter()), 1e3..1e4);
    }

    #[test]
    fn what_has_no_place_on_a_logarithmic_axis_moves_no_end() {
        assert_eq!(decades([0.0, 5e3, f64::INFINITY].into_iter()), 1e3..1e4);
        assert_eq!(decades([].into_iter()), 1.0..10.0);
    }
}
