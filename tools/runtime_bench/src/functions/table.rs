//! What the rungs made of a function, as a table.

use measure_core::base::words::one_line;
use measure_core::contract::answer::Answer;
use table::{Align, Table};

use super::answers::{Outcome, Row};

/// So much of what it printed is shown.
const SHOWN_CHARS: usize = 60;

/// What a function printed, or a handler answered first, in one line.
fn shown(answer: &Answer) -> String {
    let (status, content) = match answer.responses.first() {
        Some(response) => (format!("{} ", response.status), &response.body),
        None => (String::new(), &answer.stdout),
    };
    let text = String::from_utf8_lossy(&content.kept);
    let line = one_line(&text, SHOWN_CHARS);
    match text.chars().count() > SHOWN_CHARS {
        true => format!("{status}{line}... ({} bytes)", content.length_bytes),
        false => format!("{status}{line}"),
    }
}

/// A row for each rung: its name, whether it is ready, what the function printed there.
pub(super) fn table_of(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ("rung", Align::Left),
        ("state", Align::Left),
        ("printed", Align::Left),
    ]);
    for Row { rung, outcome } in rows {
        let (state, answer) = match outcome {
            Outcome::Same(answer) if !answer.responses.is_empty() => {
                ("ready".to_owned(), Some(answer))
            }
            Outcome::Same(answer) => match answer.exit_code {
                Some(0) => ("ready".to_owned(), Some(answer)),
                code => {
                    // What its driver says of it has the code, and what it was denied.
                    let code = format!("exit code {}", code.unwrap_or(-1));
                    let words = answer.failure.as_ref().unwrap_or(&code);
                    (format!("ready, but {words}"), Some(answer))
                }
            },
            Outcome::Other(answer, words) => (format!("another answer: it {words}"), Some(answer)),
            Outcome::Cannot(why) => (format!("cannot: {why}"), None),
            Outcome::Failed(why) => (format!("failed: {why}"), None),
        };
        let printed = answer.map_or_else(String::new, shown);
        table.row([rung.clone(), one_line(&state, 400), printed]);
    }
    table.text(table::terminal_width())
}
