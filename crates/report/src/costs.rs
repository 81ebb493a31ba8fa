//! What cold starts and parked workers cost in money: CPU time and whole memory as measured, times prices that somebody names.

use stats::levels::Estimate;
use stats::{LinearFit, linear_fit};
use table::{Align, Table};

use crate::format::{UNCHECKED, bytes, duration_ns};
use crate::html::legend::Legend;
use crate::memory::{BEYOND_PSS, Quantity, slope_interval};
use crate::prices::Prices;
use crate::summary::{RunSummary, RungSummary};

/// What columns mean.
pub(crate) const LEGEND: Legend = &[
    ("runtime", "the rung"),
    (
        "CPU of a start",
        "CPU time of the whole scope per start, back to back",
    ),
    (
        "a million starts",
        "that, a million times, at the price of a processor, with its 95 % interval by process",
    ),
    (
        "memory of one more",
        "PSS, page tables, kernel stacks, slabs and per-CPU memory of one more parked worker: the slope of a line over their number",
    ),
    (
        "a thousand for a month",
        "that, a thousand times, for 730 hours at the price of memory, with the slope's 95 % interval",
    ),
];

/// A row for each rung of which one or the other is known.
#[must_use]
pub fn price_table(summary: &RunSummary<'_>, prices: &Prices) -> Table {
    let mut table = Table::new(&[
        ("runtime", Align::Left),
        ("CPU of a start", Align::Right),
        ("a million starts", Align::Left),
        ("memory of one more", Align::Right),
        ("a thousand for a month", Align::Left),
    ]);
    for rung in &summary.rungs {
        let cpu: Option<Estimate> = rung.time.as_ref().and_then(|time| time.cpu_ns.mean);
        let memory = whole_memory(rung);
        if cpu.is_none() && memory.is_none() {
            continue;
        }
        let none = || "not measured".to_owned();
        table.row([
            rung.rung.to_owned(),
            cpu.map_or_else(none, |cpu| duration_ns(cpu.value)),
            cpu.map_or_else(none, |cpu| {
                let ends = cpu.interval.ok().map(|i| [i.lo, i.hi]);
                in_money(|ns| prices.of_starts(ns), cpu.value, ends, &prices.currency)
            }),
            memory.map_or_else(none, |fit| bytes(fit.slope)),
            memory.map_or_else(none, |fit| {
                let ends = slope_interval(&fit).map(|i| [i.lo, i.hi]);
                in_money(|b| prices.of_parked(b), fit.slope, ends, &prices.currency)
            }),
        ]);
    }
    table
}

/// The line through PSS and all of the kernel's memory together; `None` unless every one of them was read at the same points.
fn whole_memory(rung: &RungSummary<'_>) -> Option<LinearFit> {
    let points = |quantity: &Quantity| {
        let row = rung.memory.iter().find(|row| row.quantity == *quantity)?;
        Some(row.points.as_slice())
    };
    let mut whole: Vec<(f64, f64)> = points(&Quantity::PSS)?
        .iter()
        .map(|&(workers, bytes)| (workers as f64, bytes))
        .collect();
    for metric in BEYOND_PSS {
        let kernel = points(&Quantity::host_change(metric))?;
        if kernel.len() != whole.len() {
            return None;
        }
        for (sum, &(workers, bytes)) in whole.iter_mut().zip(kernel) {
            if workers as f64 != sum.0 {
                return None;
            }
            sum.1 += bytes;
        }
    }
    linear_fit(&whole)
}

fn in_money(
    price: impl Fn(f64) -> f64,
    value: f64,
    ends: Option<[f64; 2]>,
    currency: &str,
) -> String {
    let shown = amount(price(value));
    match ends.map(|ends| ends.map(|end| amount(price(end)))) {
        Some([lo, hi]) => format!("{shown} {currency} [{lo}, {hi}]"),
        None => format!("{shown} {currency} {UNCHECKED}"),
    }
}

/// Three significant digits however small, as nobody writes money in powers of ten.
fn amount(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let before_the_point = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - before_the_point).unwrap_or(0).min(15);
    format!("{value:.decimals$}")
}

/// The section of `report.md`.
pub(crate) fn section(summary: &RunSummary<'_>, prices: &Prices) -> String {
    format!(
        "## What it costs\n\n{}\n\n{}\n",
        prices.about(),
        price_table(summary, prices).markdown()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_digits_however_small() {
        for (value, shown) in [
            (0.000_027_83, "0.0000278"),
            (3.651, "3.65"),
            (1234.5, "1234"),
            (0.0, "0"),
            (-0.5, "-0.500"),
        ] {
            assert_eq!(amount(value), shown);
        }
    }
}
