//! What one start takes, by design.

use std::fmt::Write;

use stats::levels::{Estimate, Unchecked};

use super::reasons::Reasons;
use crate::format::{UNCHECKED, duration_ns, ratio, with_interval};
use crate::summary::RunSummary;
use crate::terminal::{POOLED, designs_in_words, networks, pooled, warm};
use crate::time::{Design, DesignRow, REFERENCE, TimeRow};
use table::{Align, Table};

pub(super) fn section(summary: &RunSummary<'_>) -> String {
    let rows: &[&TimeRow] = &summary.times().collect::<Vec<_>>();
    let mut text = String::from("## Time\n\n");
    let has_designs = |row: &&&TimeRow| row.isolated.is_some() || row.back_to_back.is_some();
    if rows.iter().any(|row| has_designs(&row)) {
        text += &introduction(summary);
    }
    for design in Design::ALL {
        text += &starts(summary, rows, design);
    }
    text += &phases(rows);
    let pooled = pooled(summary);
    if !pooled.is_empty() {
        let _ = write!(
            text,
            "### {}{}\n\nOne, ten and a hundred starts in a row are not told apart, and one driver process made them all: nothing can be said of how far another \
             run would lie off, and no ratio is given.\n\n{}\n",
            POOLED[..1].to_uppercase(),
            &POOLED[1..],
            pooled.markdown()
        );
    }
    text
}

fn introduction(summary: &RunSummary<'_>) -> String {
    let mut text = format!(
        "Two designs, never pooled. {}.\n\n",
        designs_in_words(summary)
    );
    let warm = warm(summary);
    if !warm.is_empty() {
        text += "What a start finds ready:\n\n";
        for line in warm {
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
    }
    for line in networks(summary) {
        let _ = writeln!(text, "{line}.\n");
    }
    text
}

/// The rows that have starts of `design`.
pub(crate) fn rows_of<'a>(
    rows: &[&'a TimeRow],
    design: Design,
) -> Vec<(&'a TimeRow, &'a DesignRow)> {
    let mut found = Vec::new();
    for row in rows {
        found.extend(row.design(design).map(|of_design| (*row, of_design)));
    }
    found
}

/// A table for each design, by the name under which pages show it.
pub(super) fn tables_by_name(summary: &RunSummary<'_>) -> Vec<(String, Table)> {
    let rows: &[&TimeRow] = &summary.times().collect::<Vec<_>>();
    let table = |design: Design| {
        let name = design.to_string().replace(' ', "-");
        (name, table_of_starts(&rows_of(rows, design)))
    };
    Design::ALL.map(table).to_vec()
}

/// One design's table, and why cells of it are unchecked.
fn starts(summary: &RunSummary<'_>, rows: &[&TimeRow], design: Design) -> String {
    let found = rows_of(rows, design);
    if found.is_empty() {
        return String::new();
    }
    let table = table_of_starts(&found);
    let mut text = format!(
        "### One cold start, {design}, from asked for to torn down, one at a time\n\n{}\n",
        table.markdown()
    );
    let _ = writeln!(text, "{INTERVALS}");
    if let Some(why) = without_reference(summary, &found) {
        let _ = writeln!(text, "{why}");
    }
    text + "\n" + &reasons(&found)
}

/// What stands in brackets.
pub(crate) const INTERVALS: &str = "In brackets 95 % intervals whose unit is the driver process: order statistics of the processes' medians; of percentiles Korn and Graubard's; of ratios Welch's \
     t of the logarithms. \"Between\" is the relative standard deviation that arises at that level.";

/// Why there is no ratio, if there is none.
pub(crate) fn without_reference(
    summary: &RunSummary<'_>,
    found: &[(&TimeRow, &DesignRow)],
) -> Option<String> {
    if found.iter().any(|(row, _)| row.rung == REFERENCE) {
        return None;
    }
    let why = summary
        .rung(REFERENCE)
        .and_then(|rung| rung.unavailable)
        .map_or("it was not among the rungs".to_owned(), str::to_owned);
    Some(format!(
        "There is no ratio to docker: no {REFERENCE} row ({why})."
    ))
}

/// The rows of one design.
pub(crate) fn table_of_starts(rows: &[(&TimeRow, &DesignRow)]) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Median", Align::Left),
        ("p90", Align::Left),
        ("p99", Align::Left),
        ("docker-none / this", Align::Left),
        ("Between processes", Align::Right),
        ("batches", Align::Right),
        ("starts", Align::Right),
        ("Processes", Align::Right),
        ("Batches", Align::Right),
        ("Starts", Align::Right),
    ]);
    for (time, row) in rows {
        let level = |variance: Option<f64>| {
            variance.map_or("-".to_owned(), |v| format!("{:.1} %", 100.0 * v.sqrt()))
        };
        let [processes, batches, starts] = row.variance.map_or([None; 3], |v| {
            [v.between_processes, v.between_batches, v.between_starts]
        });
        // Isolated, each start is a batch of its own.
        let (batches, starts) = match starts {
            None => (None, batches),
            Some(_) => (batches, starts),
        };
        let over = row.reference_over_this.as_ref();
        table.row([
            time.rung.clone(),
            with_interval(&row.median, duration_ns),
            percentile(&row.p90),
            percentile(&row.p99),
            match over {
                _ if time.rung == REFERENCE => "1".to_owned(),
                Some(over) => with_interval(over, ratio),
                None => "-".to_owned(),
            },
            level(processes),
            level(batches),
            level(starts),
            row.median.processes.to_string(),
            row.batches().to_string(),
            row.median.starts.to_string(),
        ]);
    }
    table
}

/// A percentile of too few starts is another quantity, so that not even its value is shown.
fn percentile(estimate: &Estimate) -> String {
    match estimate.interval {
        Err(Unchecked::TooFewStarts { .. }) => UNCHECKED.to_owned(),
        _ => with_interval(estimate, duration_ns),
    }
}

/// Why cells are unchecked, each reason once.
pub(crate) fn reasons(rows: &[(&TimeRow, &DesignRow)]) -> String {
    let mut reasons = Reasons::default();
    for (time, row) in rows {
        let mut own: Vec<Unchecked> = [&row.median, &row.p90, &row.p99]
            .into_iter()
            .filter_map(|estimate| estimate.interval.err())
            .collect();
        own.dedup();
        for why in own {
            reasons.add(&why.needs(), &time.rung, &why);
        }
    }
    let lines = reasons.lines();
    if lines.is_empty() {
        lines
    } else {
        lines + "\n"
    }
}

/// What the phases sum to.
pub(crate) const PHASES: &str =
    "In each start the phases sum to the total; their medians need not.";

/// Every phase of every row.
pub(crate) fn phases_table(rows: &[&TimeRow]) -> Table {
    let mut table = Table::new(&[
        ("Runtime", Align::Left),
        ("Design", Align::Left),
        ("Phase", Align::Left),
        ("Median", Align::Left),
        ("Share of the mean", Align::Right),
    ]);
    for row in rows {
        for design in Design::ALL {
            let phases = row.design(design).map_or(&[][..], |found| &found.phases);
            for phase in phases {
                table.row([
                    row.rung.clone(),
                    design.to_string(),
                    phase.name.clone(),
                    with_interval(&phase.median, duration_ns),
                    format!("{:.1} %", 100.0 * phase.share),
                ]);
            }
        }
    }
    table
}

fn phases(rows: &[&TimeRow]) -> String {
    let table = phases_table(rows);
    if table.is_empty() {
        return String::new();
    }
    format!(
        "### Phases of a start\n\n{PHASES}\n\n{}\n",
        table.markdown()
    )
}
