//! Two runs of the same thing, row by row, and what differs between the hosts they were made on.
//!
//! Which rows there are is for the tool to say that made the runs; words, verdicts and files are the same for all.

mod written;

use schemars::JsonSchema;
use serde::Serialize;
use stats::levels::{Estimate, Levels, Unchecked, median};
use stats::verdict::{Compared, Verdict, compare};
use stats::{CONFIDENCE, Interval};
use table::{Align, Table};

use crate::format::{duration_ns, ratio};
pub use written::Written;

/// A row that both runs have.
#[derive(Debug)]
pub struct Sides {
    /// What it is, a cell for each of [`TwoRuns::key`].
    pub key: Vec<String>,
    /// Nanoseconds of the first run.
    pub first: Levels,
    /// And of the second.
    pub second: Levels,
}

/// A compared row.
#[derive(Debug)]
pub struct Row {
    /// As of [`Sides::key`].
    pub key: Vec<String>,
    /// Median of the first run, in nanoseconds.
    pub first: Estimate,
    /// And of the second.
    pub second: Estimate,
    /// Second over first, and what follows.
    pub compared: Compared,
}

/// A fact that is not the same in both environments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Its name.
    pub fact: String,
    /// In the first run.
    pub first: String,
    /// In the second.
    pub second: String,
}

/// Two runs compared.
#[derive(Debug)]
pub struct TwoRuns {
    /// What the first is called.
    pub first: String,
    /// And the second.
    pub second: String,
    /// The columns that say what a row is.
    pub key: Vec<&'static str>,
    /// The share from which a difference matters.
    pub margin: f64,
    /// What differs between the environments.
    pub differences: Vec<Difference>,
    /// What to know of the runs, and what could not be compared and why, in sentences.
    pub notes: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

impl TwoRuns {
    /// Judges all `rows` at once, so that their number is accounted for.
    #[must_use]
    pub fn judge(rows: Vec<Sides>, margin: f64) -> Vec<Row> {
        let sides: Vec<(&Levels, &Levels)> = rows.iter().map(|r| (&r.first, &r.second)).collect();
        let compared = compare(&sides, margin);
        let judged = rows.into_iter().zip(compared);
        judged
            .map(|(row, compared)| Row {
                key: row.key,
                first: median(&row.first),
                second: median(&row.second),
                compared,
            })
            .collect()
    }

    /// Whether a row of the second run is slower.
    #[must_use]
    pub fn is_any_slower(&self) -> bool {
        let mut rows = self.rows.iter();
        rows.any(|row| row.compared.verdict == Verdict::Slower)
    }

    /// The page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# {} against {}\n\n", self.second, self.first);
        text += "## What differs between the hosts\n\n";
        text += &self.environments();
        if !self.notes.is_empty() {
            text += "\n## What to know\n\n";
            for note in &self.notes {
                text += &format!("- {note}\n");
            }
        }
        text += "\n## Rows\n\n";
        text += &self.table().markdown();
        text += &format!(
            "\nRatios are of medians over processes, {} over {}, with intervals by Welch's t on their logarithms. A difference matters from \
             {} % on. If no row differs, the chance that any is called faster or slower is at most {} %: intervals are widened for the number of rows (Holm).\n",
            self.second,
            self.first,
            ratio(self.margin * 100.0),
            ratio((1.0 - CONFIDENCE) * 100.0),
        );
        text
    }

    fn environments(&self) -> String {
        if self.differences.is_empty() {
            return "Nothing that the records show.\n".to_owned();
        }
        let columns = ["", &self.first, &self.second].map(|name| (name, Align::Left));
        let mut table = Table::new(&columns);
        for Difference {
            fact,
            first,
            second,
        } in &self.differences
        {
            table.row([fact, first, second]);
        }
        table.markdown()
    }

    fn table(&self) -> Table {
        let mut columns: Vec<(&str, Align)> = self.key.iter().map(|&k| (k, Align::Left)).collect();
        columns.extend([
            (self.first.as_str(), Align::Right),
            (self.second.as_str(), Align::Right),
            ("ratio", Align::Right),
            ("interval", Align::Right),
            ("verdict", Align::Left),
        ]);
        let mut table = Table::new(&columns);
        for row in &self.rows {
            let mut cells = row.key.clone();
            cells.extend([
                side(&row.first),
                side(&row.second),
                row.compared.ratio.map_or("-".to_owned(), ratio),
                interval(&row.compared.interval),
                row.compared.verdict.to_string(),
            ]);
            table.row(cells);
        }
        table
    }

    /// A line for each row; times in nanoseconds.
    ///
    /// # Errors
    /// None that a vector in memory could cause.
    pub fn csv(&self) -> Result<String, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let named = [
            "FirstNs",
            "FirstProcesses",
            "SecondNs",
            "SecondProcesses",
            "Ratio",
            "RatioLow",
            "RatioHigh",
            "Confidence",
            "PValue",
            "Verdict",
        ];
        writer.write_record(self.key.iter().copied().chain(named))?;
        for row in &self.rows {
            let Compared {
                ratio,
                interval,
                confidence,
                p_value,
                verdict,
            } = &row.compared;
            let interval = interval.as_ref().ok();
            let or_empty = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
            let mut cells = row.key.clone();
            cells.extend([
                row.first.value.to_string(),
                row.first.processes.to_string(),
                row.second.value.to_string(),
                row.second.processes.to_string(),
                or_empty(*ratio),
                or_empty(interval.map(|i| i.lo)),
                or_empty(interval.map(|i| i.hi)),
                confidence.to_string(),
                or_empty(*p_value),
                verdict.to_string(),
            ]);
            writer.write_record(cells)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Everything, for programs: [`Written`].
    #[must_use]
    pub fn json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(&Written::from_runs(self)).unwrap_or_default() + "\n"
    }
}

/// A median with the number of processes it stands on.
fn side(estimate: &Estimate) -> String {
    format!("{} ({})", duration_ns(estimate.value), estimate.processes)
}

fn interval(interval: &Result<Interval, Unchecked>) -> String {
    match interval {
        Ok(Interval { lo, hi }) => format!("{} .. {}", ratio(*lo), ratio(*hi)),
        Err(why) => format!("unchecked: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(medians: &[f64]) -> Levels {
        Levels::one_per_process(medians).expect("finite")
    }

    fn two_runs(second: &[f64]) -> TwoRuns {
        let first = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8];
        let rows = vec![Sides {
            key: vec!["thread".into(), "isolated".into()],
            first: levels(&first),
            second: levels(second),
        }];
        TwoRuns {
            first: "a".into(),
            second: "b".into(),
            key: vec!["runtime", "design"],
            margin: 0.05,
            differences: Vec::new(),
            notes: vec!["the first was cut short".into()],
            rows: TwoRuns::judge(rows, 0.05),
        }
    }

    #[test]
    fn the_three_forms_say_the_same() {
        let runs = two_runs(&[120.0, 121.0, 119.0, 120.5, 119.5, 120.2, 119.8]);
        assert!(runs.is_any_slower());
        let page = runs.markdown();
        for words in [
            "slower",
            "1.20",
            "cut short",
            "Nothing that the records show",
            "(7)",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        let csv = runs.csv().expect("in memory");
        assert!(csv.starts_with("runtime,design,FirstNs,"), "{csv}");
        assert!(
            csv.lines().nth(1).is_some_and(|l| l.ends_with(",slower")),
            "{csv}"
        );
        let json: serde_json::Value = serde_json::from_str(&runs.json()).expect("JSON");
        assert_eq!(json["rows"][0]["verdict"], "slower");
        assert_eq!(json["rows"][0]["runtime"], "thread");
        assert_eq!(json["rows"][0]["first"]["processes"], 7);
    }

    #[test]
    fn too_few_processes_are_said() {
        let runs = two_runs(&[100.0, 100.0]);
        assert!(!runs.is_any_slower());
        assert!(
            runs.markdown().contains("cannot tell"),
            "{}",
            runs.markdown()
        );
        let json: serde_json::Value = serde_json::from_str(&runs.json()).expect("JSON");
        assert_eq!(json["rows"][0]["more_processes"], 4);
    }
}
