//! How starts per second grow with workers.

use std::collections::BTreeSet;

use table::{Align, Table};

use crate::format::{count, ratio, with_interval};
use crate::scaling_plot::{self, is_scaling};
use crate::summary::RunSummary;
use crate::time::{TimeRow, scalability};

/// What the table says, before it.
pub(crate) const ABOUT: &str = "Starts per second by so many workers over those by one, of the same process; mean over the processes, in brackets the t interval over these. \
     The last columns fit the universal scalability law (Gunther, 2008) to the mean rates: contention is the share of the work that one worker at a time does, coherence what each pair \
     of workers adds for keeping in step, best the number of workers beyond which more do less, off the root mean square by which the rates miss the law.";

/// Nothing for a run of another profile, or in which no rung has three numbers of workers.
pub(super) fn section(summary: &RunSummary<'_>, has_plot: bool) -> String {
    let table = table(summary);
    if table.is_empty() {
        return String::new();
    }
    let plot = match has_plot {
        true => format!(
            "\n![starts per second over workers]({})\n",
            scaling_plot::FILE
        ),
        false => String::new(),
    };
    format!("### Scaling\n\n{ABOUT}\n\n{}{plot}\n", table.markdown())
}

/// A row for each rung with three numbers of workers.
pub(crate) fn table(summary: &RunSummary<'_>) -> Table {
    let fitted: Vec<(&TimeRow, _)> = summary
        .times()
        .filter(|_| is_scaling(summary))
        .filter_map(|row| Some((row, scalability(&row.throughput)?)))
        .collect();
    if fitted.is_empty() {
        return Table::new(&[]);
    }
    let workers: BTreeSet<u32> = fitted
        .iter()
        .flat_map(|(row, _)| row.throughput.iter().map(|t| t.workers))
        .filter(|&workers| workers > 1)
        .collect();
    let mut table = Table::new(&[("Runtime", Align::Left), ("By one", Align::Left)]);
    for workers in &workers {
        table.column(&format!("By {workers}, over one"), Align::Left);
    }
    for name in ["Contention", "Coherence", "Best", "Off"] {
        table.column(name, Align::Right);
    }
    for (row, fit) in fitted {
        let by = |workers: u32| row.throughput.iter().find(move |t| t.workers == workers);
        let mut cells = vec![
            row.rung.clone(),
            by(1).map_or("-".into(), |t| with_interval(&t.rate, count)),
        ];
        cells.extend(workers.iter().map(|&workers| {
            let over_one = by(workers).and_then(|t| t.over_one);
            over_one.map_or("-".into(), |over| with_interval(&over, ratio))
        }));
        cells.push(percent(fit.contention));
        cells.push(percent(fit.coherence));
        cells.push(
            fit.best_workers()
                .map_or("-".into(), |best| format!("{best:.1}")),
        );
        cells.push(percent(fit.relative_residual));
        table.row(cells);
    }
    table
}

fn percent(share: f64) -> String {
    format!("{} %", ratio(100.0 * share))
}
