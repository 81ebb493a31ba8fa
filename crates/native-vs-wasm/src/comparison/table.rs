//! Tables of times and ratios.

use std::collections::{BTreeMap, BTreeSet};

use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::phase::{REPEATED, TOTAL};
use measure_core::contract::vocabulary::{Measure, Metric};
use stats::Interval;
use stats::aa::{LEVEL, RATE, binomial_test};
use stats::levels::{Estimate, GeometricMeans, Unchecked};

use super::bars::bars;
use super::curve;
use super::records::{Comparison, disturbances};
use super::rows::{
    BEST_NATIVE, Cell, Mean, Row, Times, chosen_by, common_against, means, row, rows,
};
use crate::compare_runs::some_of;
use ::table::{Align, Table};
use report::{duration_ns, ratio};

/// Fewer comparisons of what is the same say nothing of how often they differ.
const AA_COMPARISONS: usize = 200;

/// Everything for a terminal, of `width` characters if it is one: a table and bars per group, the means, what went
/// wrong.
#[must_use]
pub fn terminal(comparison: &Comparison, width: Option<usize>) -> String {
    let found = rows(comparison);
    let means = means(comparison, &found);
    let mut text = String::new();
    for group in comparison.groups() {
        if !group.is_empty() {
            text += &format!("{group}\n");
        }
        let times = times(comparison, group, &found);
        if !times.is_empty() {
            text += &times.text(width);
            text.push('\n');
        }
        for column in &comparison.info.columns {
            let mean = means
                .iter()
                .find(|m| m.group == group && m.column == column.name);
            let drawn = bars(group, &column.name, &found, mean, width);
            if !drawn.is_empty() {
                text += &drawn;
                text.push('\n');
            }
        }
    }
    text += &curve::text(comparison, width);
    text += &summary(comparison, &means);
    text += &aa(comparison, &found);
    text += &host(comparison);
    text += &troubles(comparison, &found, "");
    text
}

/// One benchmark, the one at `index` of the run's list, in a line.
#[must_use]
pub fn line(comparison: &Comparison, index: usize) -> String {
    let Some(benchmark) = comparison.info.benchmarks.get(index) else {
        return String::new();
    };
    let row = row(comparison, benchmark);
    let measured = row.cells.iter().filter(|cell| cell.kernel.median.is_some());
    let cells = measured.map(|cell| {
        let over = cell.kernel.ratio.zip(cell.against);
        let over = over.map_or(String::new(), |(found, against)| {
            let interval = found.interval.map(|i| format!(" {}", interval(Ok(i))));
            let interval = interval.unwrap_or_default();
            format!(" ({}{interval} of {against})", ratio(found.value))
        });
        format!("{} {}{over}", cell.column, median(&cell.kernel))
    });
    format!(
        "{}: {}",
        benchmark.name,
        cells.collect::<Vec<_>>().join(", ")
    )
}

/// Median times and ratios of a group.
pub(super) fn times(comparison: &Comparison, group: &str, rows: &[Row<'_>]) -> Table {
    let of_group: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| row.benchmark.group == group)
        .collect();
    let mut table = Table::new(&[("benchmark", Align::Left)]);
    let is_chosen = |row: &&Row<'_>| row.benchmark.best_native.is_some();
    let chosen = of_group.iter().any(is_chosen);
    if chosen {
        table.column(&format!("{BEST_NATIVE} kernel"), Align::Right);
    }
    for column in comparison.info.compared() {
        table.column(&format!("{} kernel", column.name), Align::Right);
    }
    for column in comparison.info.compared() {
        if let Some(against) = common_against(&column.name, &of_group) {
            table.column(&format!("{}/{against}", column.name), Align::Left);
            table.column("whole run", Align::Right);
        }
    }
    if chosen {
        table.column(BEST_NATIVE, Align::Left);
    }
    table.column("runs", Align::Right);
    table.column("repeats", Align::Right);
    for row in of_group.iter().filter(|row| !is_untouched(row)) {
        let mut cells = vec![row.benchmark.name.clone()];
        if chosen {
            let best = row.benchmark.best_native.as_ref();
            let best = best.and_then(|best| row.cell(best));
            cells.push(best.map_or("-".to_owned(), |best| median(&best.kernel)));
        }
        let is_compared = |cell: &&Cell<'_>| !comparison.info.is_build(cell.column);
        let compared: Vec<&Cell<'_>> = row.cells.iter().filter(is_compared).collect();
        cells.extend(compared.iter().map(|cell| median(&cell.kernel)));
        for cell in compared {
            if common_against(cell.column, &of_group).is_some() {
                cells.push(cell.kernel.ratio.map_or(String::new(), with_interval));
                cells.push(cell.whole.ratio.map_or(String::new(), |r| ratio(r.value)));
            }
        }
        if chosen {
            cells.push(row.benchmark.best_native.clone().unwrap_or_default());
        }
        cells.push(counts(row));
        cells.push(row.benchmark.repeats.to_string());
        table.row(cells);
    }
    table
}

/// Whether the run was over before anything of it was timed, and nothing went wrong with it.
fn is_untouched(row: &Row<'_>) -> bool {
    let is_timed = |cell: &Cell<'_>| cell.kernel.median.is_some();
    let about = row.benchmark;
    !row.cells.iter().any(is_timed) && about.best_native.is_none() && about.trouble.is_empty()
}

/// How many have no row in [`times`], in a line behind `mark`; empty if each has one.
fn untouched(rows: &[Row<'_>], mark: &str) -> String {
    match rows.iter().filter(|row| is_untouched(row)).count() {
        0 => String::new(),
        left => format!("{mark}not timed: {left} of {} benchmarks\n", rows.len()),
    }
}

/// Of each native build the kernel's time: the median of its runs, or, where only the fastest was timed, of those that chose it.
pub(super) fn builds(comparison: &Comparison, group: &str, rows: &[Row<'_>]) -> Option<Table> {
    let mut table = Table::new(&[("benchmark", Align::Left)]);
    for build in &comparison.info.builds {
        table.column(build, Align::Right);
    }
    table.column("fastest", Align::Left);
    let of_group = rows.iter().filter(|row| row.benchmark.group == group);
    let mut found = false;
    for row in of_group {
        let Some(best) = &row.benchmark.best_native else {
            continue;
        };
        let time = |build: &String| {
            let timed = row.cell(build).and_then(|cell| cell.kernel.median);
            let ns = timed.map(|m| m.value);
            let ns = ns.or_else(|| chosen_by(comparison, row.benchmark, build));
            ns.map_or("-".to_owned(), duration_ns)
        };
        let mut cells = vec![row.benchmark.name.clone()];
        cells.extend(comparison.info.builds.iter().map(time));
        cells.push(best.clone());
        table.row(cells);
        found = true;
    }
    found.then_some(table)
}

fn median(times: &Times) -> String {
    times
        .median
        .map_or("-".to_owned(), |m| duration_ns(m.value))
}

/// `5`, or `5+3` where the columns have different numbers.
fn counts(row: &Row<'_>) -> String {
    let count = |times: &Times| match times.median {
        None => 0,
        // Until schema 2 one process made all Wasm runs.
        Some(found) if found.processes == 1 => found.starts,
        Some(found) => found.processes,
    };
    // Of native builds only the fastest may have been timed.
    let untimed = |cell: &&Cell<'_>| cell.kernel.median.is_none() && cell.against.is_none();
    let cells = row.cells.iter().filter(|cell| !untimed(cell));
    let counts: Vec<usize> = cells.map(|c| count(&c.kernel)).collect();
    match counts.split_first() {
        Some((first, rest)) if rest.iter().all(|n| n == first) => first.to_string(),
        _ => counts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("+"),
    }
}

pub(super) fn with_interval(found: Estimate) -> String {
    format!("{} {}", ratio(found.value), interval(found.interval))
}

/// `[lo, hi]`, or that there is none.
pub(super) fn interval(found: Result<Interval, Unchecked>) -> String {
    found.map_or("unchecked".to_owned(), |i| {
        format!("[{}, {}]", ratio(i.lo), ratio(i.hi))
    })
}

/// A mean and its two intervals, each by its name, or why it has none.
fn named(mean: &GeometricMeans) -> String {
    let intervals = [
        (mean.these_again, "these benchmarks again"),
        (mean.drawn_like_these, "benchmarks drawn like these"),
    ];
    let said = intervals.map(|(found, name)| match found {
        Ok(_) => format!("{} {name}", interval(found)),
        Err(why) => format!("{name} unchecked: {why}"),
    });
    format!("{} ({})", ratio(mean.mean), said.join("; "))
}

/// The means, a line each, and what they are of.
pub(super) fn summary(comparison: &Comparison, means: &[Mean<'_>]) -> String {
    let line = |mean: &Mean<'_>| {
        let group = if mean.group.is_empty() {
            String::new()
        } else {
            format!("{}: ", mean.group)
        };
        let all = if mean.kernel.n == mean.of {
            mean.of.to_string()
        } else {
            format!("{} of {}", mean.kernel.n, mean.of)
        };
        let whole = mean.whole.map_or(String::new(), |w| {
            format!("; whole run {} {}", ratio(w.mean), interval(w.these_again))
        });
        let largest = mean.largest.map_or(String::new(), |(name, found)| {
            format!("; largest {} ({name})", with_interval(found))
        });
        format!(
            "{group}{}/{} geometric mean over {all}: {}{whole}{largest}\n",
            mean.column,
            mean.against,
            named(&mean.kernel),
        )
    };
    let text: String = means.iter().map(line).collect();
    if text.is_empty() {
        return text;
    }
    text + &conditions(comparison)
}

/// The CPU, and what compiled each column, with which flags.
fn conditions(comparison: &Comparison) -> String {
    let info = &comparison.info;
    let environment = comparison.records.environment.as_ref();
    let mut text = environment
        .and_then(report::cpu)
        .map_or(String::new(), |cpu| format!("CPU: {cpu}\n"));
    if info.benchmarks.iter().any(|b| b.best_native.is_some()) {
        text += &format!(
            "{BEST_NATIVE}: the fastest build of each kernel, chosen by runs that are not reported\n"
        );
    }
    for column in &info.columns {
        let setting = |key: &str| column.settings.iter().find_map(|s| s.strip_prefix(key));
        if let (Some(compiler), Some(flags)) = (setting("compiler: "), setting("cflags: ")) {
            let then = setting("post-link: ").filter(|then| *then != "none");
            let then = then.map_or(String::new(), |then| format!(", then {then}"));
            text += &format!("{}: {compiler}, {flags}{then}\n", column.name);
        }
    }
    text
}

/// How often a column was found to differ from itself, in a line; empty where that was not asked.
pub(super) fn aa(comparison: &Comparison, rows: &[Row<'_>]) -> String {
    if !comparison.info.aa {
        return String::new();
    }
    let twins = comparison.info.columns.iter().filter(|c| c.twin.is_some());
    let intervals: Vec<Interval> = twins
        .flat_map(|column| rows.iter().filter_map(|row| row.cell(&column.name)))
        .filter_map(|cell| cell.kernel.ratio?.interval.ok())
        .collect();
    let differ = intervals.iter().filter(|i| !i.contains(1.0)).count();
    let probability = binomial_test(differ as u64, intervals.len() as u64);
    let verdict = if intervals.len() < AA_COMPARISONS {
        format!("too few for a verdict, {AA_COMPARISONS} are needed")
    } else if probability < LEVEL {
        "the intervals are too narrow".to_owned()
    } else {
        "the intervals hold".to_owned()
    };
    format!(
        "A/A: of {} comparisons of a column with itself {differ} ({:.1} %) differ, where {:.0} % are to be expected; so many or more come by chance with probability {probability:.3}: {verdict}\n",
        intervals.len(),
        100.0 * differ as f64 / intervals.len().max(1) as f64,
        100.0 * RATE,
    )
}

/// In how many blocks the host was disturbed, in a line, and which benchmarks are concerned; empty if none was watched.
pub(super) fn host(comparison: &Comparison) -> String {
    let verdicts = comparison.records.samples.iter().filter(|s| {
        s.measure == Measure::Host && s.metric == Metric::Disturbed && s.phase == TOTAL
    });
    let by_block: BTreeMap<u32, &Value> = verdicts.map(|s| (s.block, &s.value)).collect();
    let count = |is: fn(&Value) -> bool| by_block.values().filter(|value| is(value)).count();
    let disturbed = count(|value| value.number().is_some_and(|n| n > 0));
    let unchecked = count(|value| value.number().is_none());
    let told = by_block.len() - unchecked;
    if by_block.is_empty() {
        return String::new();
    }
    let share = 100.0 * disturbed as f64 / told.max(1) as f64;
    let unchecked = match unchecked {
        0 => String::new(),
        some => format!(", {some} more unchecked"),
    };
    let repeated = comparison.records.samples.iter();
    let repeated: BTreeSet<u32> = repeated
        .filter(|s| s.measure == Measure::Host && s.phase == REPEATED)
        .map(|s| s.block)
        .collect();
    let again = by_block.keys().filter(|block| repeated.contains(block));
    let again = match again.count() {
        0 => String::new(),
        times => format!("; {times} were made again, and what was disturbed does not count"),
    };
    let of: Vec<&str> = disturbances(comparison)
        .into_iter()
        .filter_map(|(name, host)| (host.disturbed > 0).then_some(name))
        .collect();
    let of = if of.is_empty() {
        String::new()
    } else {
        format!(": {}", some_of(&of))
    };
    format!(
        "host: disturbed in {disturbed} of {told} blocks of runs ({share:.0} %){unchecked}{again}{of}\n"
    )
}

/// What went wrong, and what the run did not come to, a line each behind `mark`.
pub(super) fn troubles(comparison: &Comparison, rows: &[Row<'_>], mark: &str) -> String {
    let benchmarks = comparison.info.benchmarks.iter();
    let told: String = benchmarks
        .flat_map(|b| b.trouble.iter().map(move |what| (b, what)))
        .map(|(b, what)| format!("{mark}{}: {what}\n", b.name))
        .collect();
    told + &untouched(rows, mark)
}

#[cfg(test)]
mod tests {
    use super::super::records::{BenchmarkInfo, ColumnInfo, ComparisonInfo};
    use super::*;

    #[test]
    fn what_a_run_did_not_come_to_has_no_row_and_is_counted() {
        let benchmark = |name: &str, trouble: &[&str]| BenchmarkInfo {
            name: name.to_owned(),
            trouble: trouble.iter().map(ToString::to_string).collect(),
            ..BenchmarkInfo::default()
        };
        let column = ColumnInfo {
            name: "native".to_owned(),
            ..ColumnInfo::default()
        };
        let comparison = Comparison {
            info: ComparisonInfo {
                columns: vec![column],
                benchmarks: vec![benchmark("later", &[]), benchmark("bad", &["it failed"])],
                ..ComparisonInfo::default()
            },
            ..Comparison::default()
        };
        let found = rows(&comparison);
        let table = times(&comparison, "", &found);
        let names: Vec<&str> = table.rows().iter().map(|row| &*row[0]).collect();
        assert_eq!(names, ["bad"]);
        assert_eq!(
            troubles(&comparison, &found, "- "),
            "- bad: it failed\n- not timed: 1 of 2 benchmarks\n"
        );
    }
}
