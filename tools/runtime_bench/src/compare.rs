//! `compare`: two runs, row by row: a row is a rung, a function and a design.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use measure_core::base::exit::Exit;
use measure_core::base::stdout::print;
use measure_core::contract::run_dir::write_whole;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::phase::TOTAL;
use measure_core::contract::vocabulary::{Measure, Metric};
use report::differences::differences;
use report::two_runs::{Sides, TwoRuns};
use report::{Design, Records};
use stats::levels::Levels;

use crate::error::BenchError;
use crate::options::CompareOptions;

/// What makes two medians of one quantity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) rung: String,
    pub(crate) function: String,
    pub(crate) design: Design,
}

/// A start as (process, block, nanoseconds).
pub(crate) type Start = (u32, u32, f64);

/// The starts of one worker that went well, by row.
pub(crate) fn starts_by_row(samples: &[Sample]) -> BTreeMap<RowKey, Vec<Start>> {
    let mut rows: BTreeMap<RowKey, Vec<Start>> = BTreeMap::new();
    for sample in samples {
        let counts = !sample.warmup && sample.error.is_none() && sample.workers == 1;
        let is_time = sample.phase == TOTAL && sample.metric == Metric::WallNs;
        let design = Design::from_measure(&sample.measure);
        if let (true, Some(design), Some(ns)) = (counts && is_time, design, sample.value.number()) {
            let key = RowKey {
                rung: sample.rung.clone(),
                function: sample.function.clone(),
                design,
            };
            let start = (sample.process, sample.block, ns as f64);
            rows.entry(key).or_default().push(start);
        }
    }
    rows
}

/// Prints how the run `second` compares with `first`.
///
/// # Errors
/// One cannot be read, they have no row in common, or the files cannot be written.
pub(crate) fn run(options: &CompareOptions) -> Result<Exit, BenchError> {
    let (first, second) = (read(&options.first)?, read(&options.second)?);
    let runs = two_runs(options, &first, &second)?;
    if let Some(path) = &options.csv {
        let csv = runs.csv().map_err(|e| BenchError::Failed(e.to_string()))?;
        write_whole(path, csv.as_bytes())?;
    }
    if let Some(path) = &options.json {
        write_whole(path, runs.json().as_bytes())?;
    }
    print(runs.markdown()).map_err(BenchError::Output)?;
    Ok(if options.fail_on.is_some() && runs.is_any_slower() {
        Exit::Slower
    } else {
        Exit::Ok
    })
}

/// A run and its rows.
struct Side {
    records: Records,
    rows: BTreeMap<RowKey, Vec<Start>>,
}

fn read(dir: &Path) -> Result<Side, BenchError> {
    let records = Records::read(dir)?;
    let rows = starts_by_row(&records.samples);
    if rows.is_empty() {
        let of_comparison = |s: &Sample| matches!(s.measure, Measure::Run | Measure::Verify);
        let why = if records.samples.iter().any(of_comparison) {
            "it is a run of poly_bench or py_bench, which compare their own"
        } else {
            "it holds no start that went well; make one with `runtime_bench time`"
        };
        return Err(BenchError::Usage(format!(
            "{} cannot be compared: {why}",
            dir.display()
        )));
    }
    Ok(Side { records, rows })
}

fn two_runs(options: &CompareOptions, first: &Side, second: &Side) -> Result<TwoRuns, BenchError> {
    let (sides, not_compared) = in_common(first, second);
    let [first_name, second_name] =
        [&options.first, &options.second].map(|dir| dir.display().to_string());
    if sides.is_empty() {
        return Err(BenchError::Usage(format!(
            "{first_name} and {second_name} have no row in common: {}",
            not_compared.join("; ")
        )));
    }
    let mut notes = Vec::new();
    for (name, side) in [(&first_name, first), (&second_name, second)] {
        notes.extend(cut_short(name, &side.records));
    }
    notes.extend(not_compared);
    Ok(TwoRuns {
        differences: differences(
            first.records.environment.as_ref(),
            second.records.environment.as_ref(),
        ),
        first: first_name,
        second: second_name,
        key: vec!["runtime", "design", "function"],
        margin: options.margin / 100.0,
        notes,
        rows: TwoRuns::judge(sides, options.margin / 100.0),
    })
}

/// Why a run may hold less than it set out to.
fn cut_short(name: &str, records: &Records) -> Vec<String> {
    let torn = records
        .torn
        .then(|| format!("{name}: its last line is torn, what came after it is lost"));
    let ended = records
        .info
        .part("time")
        .and_then(|part| part.ended.as_ref())
        .map(|why| format!("{name}: {why}"));
    torn.into_iter().chain(ended).collect()
}

/// The rows of both, and why others are not compared.
fn in_common(first: &Side, second: &Side) -> (Vec<Sides>, Vec<String>) {
    let (mut sides, mut why) = (Vec::new(), BTreeSet::new());
    let keys: BTreeSet<&RowKey> = first.rows.keys().chain(second.rows.keys()).collect();
    for key in keys {
        let starts = |side: &Side| {
            let starts = side.rows.get(key)?;
            Levels::from_observations(starts.iter().copied())
        };
        match (starts(first), starts(second)) {
            (Some(first), Some(second)) => sides.push(Sides {
                key: vec![
                    key.rung.clone(),
                    key.design.to_string(),
                    key.function.clone(),
                ],
                first,
                second,
            }),
            (one, _) => {
                let other = if one.is_some() { second } else { first };
                why.insert(why_not(key, other));
            }
        }
    }
    (sides, why.into_iter().collect())
}

/// Why the row `key` of one run has no counterpart among those of the `other`.
fn why_not(key: &RowKey, other: &Side) -> String {
    let of_rung = || other.rows.keys().filter(|k| k.rung == key.rung);
    let RowKey { rung, function, .. } = key;
    if of_rung().next().is_none() {
        return format!("`{rung}` is in one run only");
    }
    if !of_rung().any(|k| k.function == *function) {
        return format!("`{rung}` ran another function in each run, here {function}");
    }
    let is_pooled = |k: &RowKey| k.design == Design::Pooled;
    if is_pooled(key) || of_rung().any(is_pooled) {
        return format!(
            "`{rung}` is not compared: one run is of schema 1, which pooled starts that found nothing running with starts in a loop; the other \
             tells isolated from back to back, which are other quantities. Measure the older version again with these tools"
        );
    }
    format!("`{rung}` was measured {} in one run only", key.design)
}

#[cfg(test)]
mod tests {
    use super::*;
    use measure_core::contract::sample::{SCHEMA, Value};

    fn sample(rung: &str, function: &str, measure: Measure, process: u32) -> Sample {
        Sample {
            schema: SCHEMA,
            run: "r".into(),
            rung: rung.into(),
            function: function.into(),
            measure,
            phase: TOTAL.into(),
            metric: Metric::WallNs,
            value: Value::Value(1000 + i64::from(process)),
            n: 1,
            workers: 1,
            process,
            block: process,
            order: 0,
            seed: 7,
            warmup: false,
            error: None,
        }
    }

    fn side(of: &[(&str, &str, Measure)]) -> Side {
        let samples = of.iter().flat_map(|(rung, function, measure)| {
            (1..=6).map(|process| sample(rung, function, measure.clone(), process))
        });
        let samples: Vec<Sample> = samples.collect();
        Side {
            rows: starts_by_row(&samples),
            records: Records::default(),
        }
    }

    #[test]
    fn only_what_is_the_same_is_compared_and_the_rest_says_why() {
        let first = side(&[
            ("thread", "demo/noop", Measure::Isolated),
            ("wasm", "demo/noop", Measure::Isolated),
            ("process", "demo/noop", Measure::Isolated),
            ("faaslet", "demo/noop", Measure::Start),
            ("runc", "demo/noop", Measure::Isolated),
        ]);
        let second = side(&[
            ("thread", "demo/noop", Measure::Isolated),
            ("wasm", "demo/sieve", Measure::Isolated),
            ("process", "demo/noop", Measure::BackToBack),
            ("faaslet", "demo/noop", Measure::Isolated),
        ]);
        let (sides, why) = in_common(&first, &second);
        let keys: Vec<_> = sides.iter().map(|s| s.key.join(" ")).collect();
        assert_eq!(keys, ["thread isolated demo/noop"]);
        let why = why.join("\n");
        for words in [
            "`wasm` ran another function in each run, here demo/sieve",
            "`process` was measured isolated in one run only",
            "`process` was measured back to back in one run only",
            "`faaslet` is not compared: one run is of schema 1",
            "`runc` is in one run only",
        ] {
            assert!(why.contains(words), "{words}:\n{why}");
        }
    }

    #[test]
    fn warm_up_failures_phases_and_other_workers_are_no_starts_of_a_row() {
        let good = sample("thread", "demo/noop", Measure::BackToBack, 1);
        let mut others = vec![good.clone(); 5];
        others[0].warmup = true;
        others[1].error = Some("exit code 3".into());
        others[2].workers = 2;
        others[3].phase = "run".into();
        others[4].measure = Measure::Batch;
        others.push(good);
        let rows = starts_by_row(&others);
        assert_eq!(rows.values().map(Vec::len).collect::<Vec<_>>(), [1]);
    }
}
