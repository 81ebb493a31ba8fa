//! Ratios as bars for a terminal.

use std::fmt::Write;

use super::rows::{Mean, Row};
use report::ratio;
use stats::Interval;
use stats::levels::Unchecked;
use table::{Align, Table};

/// Width of the longest bar, in characters, and what it may shrink to on a narrow terminal.
const WIDTH: usize = 40;
const LEAST_WIDTH: usize = 8;
/// A ratio beyond this is drawn as if it were this, with an arrow.
const LONGEST: f64 = 8.0;
/// The gaps of the table, in characters.
const BETWEEN: usize = 3 * 2;

/// A bar per benchmark of `group` for `column`, with a mark at 1; empty if there is no ratio.
pub(super) fn bars(
    group: &str,
    column: &str,
    rows: &[Row<'_>],
    mean: Option<&Mean<'_>>,
    terminal: Option<usize>,
) -> String {
    let found: Vec<(&str, f64, Result<Interval, Unchecked>)> = rows
        .iter()
        .filter(|row| row.benchmark.group == group)
        .filter_map(|row| {
            let found = row.cell(column)?.kernel.ratio?;
            Some((row.benchmark.name.as_str(), found.value, found.interval))
        })
        .chain(mean.map(|m| ("geometric mean", m.kernel.mean, m.kernel.these_again)))
        .collect();
    let Some(longest) = found.iter().map(|f| f.1).max_by(f64::total_cmp) else {
        return String::new();
    };
    let shown: Vec<(&str, f64, String)> = found
        .into_iter()
        .map(|(name, value, interval)| {
            let interval = match interval {
                Ok(i) => format!("[{}, {}]", ratio(i.lo), ratio(i.hi)),
                Err(why) => format!("unchecked: {why}"),
            };
            (name, value, interval)
        })
        .collect();
    let beside = shown
        .iter()
        .map(|(name, value, interval)| name.len() + ratio(*value).len() + interval.len() + BETWEEN);
    let width = terminal.map_or(WIDTH, |all| {
        let left = all.saturating_sub(beside.max().unwrap_or(0));
        left.clamp(LEAST_WIDTH, WIDTH)
    });
    let scale = width as f64 / longest.clamp(1.0, LONGEST);
    let mut table = Table::new(&[
        ("", Align::Left),
        ("", Align::Left),
        ("", Align::Right),
        ("", Align::Left),
    ]);
    for (name, value, interval) in shown {
        let bar = bar(value, scale, width);
        table.row([name.to_owned(), bar, ratio(value), interval]);
    }
    let mut text = String::new();
    let reference = mean.map_or("what it is held against", |m| m.against);
    let of = if group.is_empty() {
        String::new()
    } else {
        format!(", {group}")
    };
    let _ = writeln!(
        text,
        "{column} / {reference}, kernel time{of} (95 % interval; | is 1, shorter is faster)"
    );
    for line in table.text(None).lines().skip(1) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// `value` times `scale` characters but at most `width`, a `|` at 1.
fn bar(value: f64, scale: f64, width: usize) -> String {
    let cells = |v: f64| ((v * scale).round() as usize).min(width);
    let (length, one) = (cells(value), cells(1.0).max(1));
    let mut bar: Vec<char> = vec!['\u{2588}'; length];
    bar.resize(bar.len().max(one), ' ');
    bar[one - 1] = '|';
    if value > LONGEST && value * scale > width as f64 {
        bar[width - 1] = '>';
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
            bar(2.0, 4.0, WIDTH),
            "\u{2588}\u{2588}\u{2588}|\u{2588}\u{2588}\u{2588}\u{2588}"
        );
        assert_eq!(bar(0.5, 4.0, WIDTH), "\u{2588}\u{2588} |");
        assert!(bar(100.0, 5.0, WIDTH).ends_with('>'));
    }

    proptest! {
        #[test]
        fn no_ratio_breaks_a_bar(value in 1e-9..1e9_f64, longest in 1.0..LONGEST, width in LEAST_WIDTH..=WIDTH) {
            let drawn = bar(value, width as f64 / longest, width);
            prop_assert!((1..=width).contains(&drawn.chars().count()));
            prop_assert!(drawn.contains('|') || drawn.ends_with('>'));
        }
    }
}
