//! The verdicts as CSV, a line each.

use crate::catalogue::PROBES;
use crate::cell::Cell;
use crate::interference::Noise;
use crate::letter::Letter;
use crate::letters::Found as LetterFound;
use crate::record::{Found, RungFound};

type Row = [String; 4];

/// `rung,what,verdict,detail`.
pub(super) fn csv(found: &Found) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut rows: Vec<Row> = vec![["rung", "what", "verdict", "detail"].map(str::to_owned)];
    rows.extend(
        found
            .control
            .iter()
            .map(|(id, cell)| verdict("(control)", id, cell)),
    );
    for rung in &found.rungs {
        rows.extend(rung_rows(rung));
    }
    for row in rows {
        // A vector takes every write.
        let _ = writer.write_record(row);
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn verdict(rung: &str, what: &str, cell: &Cell) -> Row {
    let (verdict, detail) = match cell {
        Cell::Contained { how } => ("contained", how.clone()),
        Cell::Reached => ("reached", String::new()),
        Cell::Number { number } => ("number", number.to_string()),
        Cell::CannotTry { why } => ("cannot try", why.clone()),
        Cell::NotTried { why } => ("not tried", why.clone()),
    };
    [rung.to_owned(), what.to_owned(), verdict.to_owned(), detail]
}

fn rung_rows(rung: &RungFound) -> Vec<Row> {
    let row = |what: &str, verdict: &str, detail: String| -> Row {
        [
            rung.rung.clone(),
            what.to_owned(),
            verdict.to_owned(),
            detail,
        ]
    };
    if let Some(other) = &rung.as_rung {
        return vec![row("", "as", other.clone())];
    }
    if let Some(why) = &rung.unavailable {
        return vec![row("", "unavailable", why.clone())];
    }
    let cells = PROBES
        .iter()
        .filter_map(|p| Some((p.id, rung.cells.get(p.id)?)));
    let mut rows: Vec<Row> = cells
        .map(|(id, cell)| verdict(&rung.rung, id, cell))
        .collect();
    for letter in Letter::ALL {
        let found = match LetterFound::of_letter(letter, rung) {
            LetterFound::Isolated => "isolated",
            LetterFound::Reached(_) => "reached",
            LetterFound::Unknown => "unknown",
        };
        let stated = format!("stated: {}", letter.stated(&rung.isolation));
        rows.push(row(&format!("letter {}", letter.letter()), found, stated));
    }
    for process in &rung.processes {
        let detail = super::markdown::process_words(process);
        rows.push(row("process of the host", &process.name, detail));
    }
    if let Some(passed) = rung.passed {
        let detail = super::markdown::passed_words(passed);
        rows.push(row("passes out of a worker's network", "number", detail));
    }
    for noise in Noise::ALL {
        for (percentile, q) in [("p50", 0.5), ("p99", 0.99)] {
            let Some(worse) = rung.interference.as_ref().and_then(|i| i.worse(noise, q)) else {
                continue;
            };
            let ratio = super::words::ratio(rung, noise, q).unwrap_or_default();
            let what = format!("victim {percentile} beside {}", noise.name());
            let detail = format!(
                "{ratio}; alone_ns {:.0}; beside_ns {:.0}",
                worse.alone_ns, worse.beside_ns
            );
            rows.push(row(&what, "ratio", detail));
        }
    }
    rows
}
