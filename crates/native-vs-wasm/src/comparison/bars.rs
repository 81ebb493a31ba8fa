//! Ratios as bars for a terminal.

use std::fmt::Write;

use super::{Comparison, Mean, Row};
use report::ratio;
use report::{Align, Table};

/// Width of the longest bar, in characters.
const WIDTH: usize = 40;
/// A ratio beyond this is drawn as if it were this, with an arrow.
const LONGEST: f64 = 8.0;

/// A bar per benchmark of `group` for `column`, with a mark at 1; empty if there is no ratio.
pub(super) fn bars(
    comparison: &Comparison,
    group: &str,
    column: &str,
    rows: &[Row<'_>],
    mean: Option<&Mean<'_>>,
) -> String {
    let found: Vec<(&str, f64, Option<stats::Interval>)> = rows
        .iter()
        .filter(|row| row.benchmark.group == group)
        .filter_map(|row| {
            let found = row.cell(column)?.kernel.ratio?;
            Some((row.benchmark.name.as_str(), found.ratio, found.interval))
        })
        .chain(mean.map(|m| ("geometric mean", m.kernel.mean, m.kernel.interval)))
        .collect();
    let Some(longest) = found.iter().map(|f| f.1).max_by(f64::total_cmp) else {
        return String::new();
    };
    let scale = WIDTH as f64 / longest.clamp(1.0, LONGEST);
    let mut table = Table::new(&[
        ("", Align::Left),
        ("", Align::Left),
        ("", Align::Right),
        ("", Align::Left),
    ]);
    for (name, value, interval) in found {
        let interval = interval.map_or("too few runs for an interval".to_owned(), |i| {
            format!("[{}, {}]", ratio(i.lo), ratio(i.hi))
        });
        table.row([name.to_owned(), bar(value, scale), ratio(value), interval]);
    }
    let mut text = String::new();
    let reference = comparison.info.reference.as_deref().unwrap_or_default();
    let of = if group.is_empty() {
        String::new()
    } else {
        format!(", {group}")
    };
    let _ = writeln!(
        text,
        "{column} / {reference}, kernel time{of} (95 % interval; | is 1, shorter is faster)"
    );
    for line in table.text().lines().skip(1) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// `value` times `scale` characters, a `|` at 1.
fn bar(value: f64, scale: f64) -> String {
    let cells = |v: f64| ((v * scale).round() as usize).min(WIDTH);
    let (length, one) = (cells(value), cells(1.0).max(1));
    let mut bar: Vec<char> = vec!['\u{2588}'; length];
    bar.resize(bar.len().max(one), ' ');
    bar[one - 1] = '|';
    if value > LONGEST && value * scale > WIDTH as f64 {
        bar[WIDTH - 1] = '>';
    }
    bar.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bar_is_as_long_as_its_ratio_and_marks_one() {
        assert_eq!(
            bar(2.0, 4.0),
            "\u{2588}\u{2588}\u{2588}|\u{2588}\u{2588}\u{2588}\u{2588}"
        );
        assert_eq!(bar(0.5, 4.0), "\u{2588}\u{2588} |");
        assert!(bar(100.0, 5.0).ends_with('>'));
    }

    proptest! {
        #[test]
        fn no_ratio_breaks_a_bar(value in 1e-9..1e9_f64, longest in 1.0..LONGEST) {
            let drawn = bar(value, WIDTH as f64 / longest);
            prop_assert!((1..=WIDTH).contains(&drawn.chars().count()));
            prop_assert!(drawn.contains('|') || drawn.ends_with('>'));
        }
    }
}
