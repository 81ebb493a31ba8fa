//! What the rungs answer, each having run the function once, and whether that is the same.

use std::thread;
use std::time::Duration;

use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::contract::Probe;
use measure_core::contract::answer::Answer;
use measure_core::contract::function::FunctionFile;
use measure_core::contract::protocol::{Message, parse_line};

use super::compare::{Reference, differs_from_itself};
use super::error::FunctionError;
use super::normalise::Normaliser;
use crate::drivers::{self, DriverError, Offer};
use crate::engines::Driver;
use measure_core::base::exit::Exit;

/// How long a driver may take beside what the function takes: a container engine that starts and loads an image.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// What came of running the function on one rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It answered, as all do.
    Same(Answer),
    /// It answered, and otherwise than it should: the first difference.
    Other(Answer, String),
    /// It cannot take it.
    Cannot(String),
    /// It failed.
    Failed(String),
}

impl Outcome {
    /// Why nothing of it is to be measured, if so.
    pub(crate) fn not_timed(&self) -> Option<String> {
        match self {
            Self::Same(answer) if !answer.responses.is_empty() => None,
            Self::Same(answer) if answer.exit_code == Some(0) => None,
            Self::Same(answer) => Some(format!(
                "it ends with exit code {}, and a start that does not end with 0 is a failed one",
                answer.exit_code.unwrap_or(-1)
            )),
            Self::Other(_, words) => Some(format!("another answer: it {words}")),
            Self::Cannot(words) | Self::Failed(words) => Some(words.clone()),
        }
    }

    /// Whether each of its starts would be a failed one.
    pub(crate) fn fails_timed(&self) -> bool {
        let ends_wrongly = matches!(self, Self::Same(_)) && self.not_timed().is_some();
        ends_wrongly || self.is_failure()
    }

    /// Whether the rung could have run it, and did not as it should.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Other(..) | Self::Failed(_))
    }
}

/// What to do about answers that are not alike.
const VARIES: &str =
    "it answers differently each time; say what varies (--varies, or varies in its function.toml)";

/// A rung and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Ladder id.
    pub(crate) rung: String,
    /// What came of it.
    pub(crate) outcome: Outcome,
}

/// Has each of `offers` run `function` once, the drivers side by side, and compares what they answer.
///
/// # Errors
/// A signal came to us.
pub(crate) fn ask_rungs(
    offers: &[Offer],
    function: &FunctionId,
    file: &FunctionFile,
) -> Result<Vec<Row>, FunctionError> {
    let varies = Normaliser::new(&file.varies)?;
    let mut line = Line::default();
    line.show(format!(
        "{function}: each of {} rungs runs it once",
        offers.len()
    ));
    let limit = READY_LIMIT + Duration::from_secs(file.timeout_s);
    let ask = |offer: &Offer| ask_rung(offer, function, limit);
    let mut by_driver: Vec<&Driver> = offers.iter().map(|o| &o.driver).collect();
    by_driver.dedup();
    let outcomes: Vec<(String, Outcome)> = thread::scope(|scope| {
        let workers: Vec<_> = by_driver
            .into_iter()
            .map(|driver| {
                let ours = offers.iter().filter(move |o| o.driver == *driver);
                scope.spawn(move || {
                    let asked = ours.map(|offer| (offer.rung().to_owned(), ask(offer)));
                    asked.collect::<Vec<_>>()
                })
            })
            .collect();
        let panicked = || {
            vec![(
                String::new(),
                Outcome::Failed("a thread of ours panicked".into()),
            )]
        };
        let joined = workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|_| panicked()));
        joined.flatten().collect()
    });
    line.clear();
    if let Some(exit) = interrupt::received() {
        return Err(FunctionError::Interrupted(exit));
    }
    let mut rows: Vec<Row> = outcomes
        .into_iter()
        .map(|(rung, outcome)| Row { rung, outcome })
        .collect();
    compare_rows(&mut rows, file, &varies);
    say_if_it_varies(&mut rows, offers, &varies, &ask);
    Ok(rows)
}

fn ask_rung(offer: &Offer, function: &FunctionId, limit: Duration) -> Outcome {
    if let Probe::Unavailable { why, mend } = &offer.probe {
        return Outcome::Cannot(format!("{why}, {mend}"));
    }
    let function = function.to_string();
    let arguments = ["run", "--rung", offer.rung(), "--function", &function];
    match drivers::run(&offer.driver, &arguments, limit) {
        Ok(said) => answer_in(&said),
        Err(DriverError::Failed { status, said, .. }) => {
            // Notes may stand before it.
            let words = said
                .rsplit_once("error: ")
                .map_or(said.as_str(), |(_, words)| words);
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            match code.map(Exit::from_code) {
                Some(Exit::Unavailable | Exit::Usage) => {
                    Outcome::Cannot(words.trim_start_matches("unavailable: ").to_owned())
                }
                _ => Outcome::Failed(words.to_owned()),
            }
        }
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn answer_in(said: &str) -> Outcome {
    for line in said.lines() {
        match parse_line(line) {
            Ok(Message::Answer(answer)) => return came_to_its_end(answer),
            Ok(_) => {}
            Err(error) => return Outcome::Failed(error.to_string()),
        }
    }
    Outcome::Failed("its driver says no answer".into())
}

/// One that was killed, trapped or late answered nothing that could be held against others.
fn came_to_its_end(answer: Answer) -> Outcome {
    match (&answer.exit_code, &answer.failure) {
        (None, Some(words)) => Outcome::Failed(words.clone()),
        _ => Outcome::Same(answer),
    }
}

/// Marks those that answer otherwise than the function's file expects, or than the first rung that answers.
fn compare_rows(rows: &mut [Row], file: &FunctionFile, varies: &Normaliser) {
    let first = rows.iter().find_map(|row| match &row.outcome {
        Outcome::Same(answer) => Some((row.rung.clone(), answer.clone())),
        _ => None,
    });
    let Some((rung, first)) = first else { return };
    let all = Reference::Rung(&rung, &first);
    for row in rows.iter_mut() {
        if let Outcome::Same(answer) = &row.outcome
            && let Some(words) = differs_from_itself(answer, varies)
        {
            let words = format!("{words}: {VARIES}");
            row.outcome = Outcome::Other(answer.clone(), words);
        }
    }
    let references = match &file.expect {
        Some(expect) => vec![Reference::Expected(expect), all],
        None => vec![all],
    };
    for row in rows {
        if let Outcome::Same(answer) = &row.outcome {
            let differs = references.iter().find_map(|r| r.difference(answer, varies));
            if let Some(words) = differs {
                row.outcome = Outcome::Other(answer.clone(), words);
            }
        }
    }
}

/// Where a rung answers otherwise, it is asked once more: a function that does not answer itself as before needs no comparison.
fn say_if_it_varies(
    rows: &mut [Row],
    offers: &[Offer],
    varies: &Normaliser,
    ask: &dyn Fn(&Offer) -> Outcome,
) {
    let other = rows.iter_mut().find_map(|row| match &row.outcome {
        Outcome::Other(answer, _) => Some((answer.clone(), row)),
        _ => None,
    });
    let Some((answer, row)) = other else { return };
    let Some(offer) = offers.iter().find(|o| o.rung() == row.rung) else {
        return;
    };
    if let Outcome::Same(again) = ask(offer) {
        let itself = Reference::Rung("the same rung a moment before", &answer);
        if let Some(words) = itself.difference(&again, varies) {
            let words = format!("{words}: {VARIES}");
            row.outcome = Outcome::Other(answer, words);
        }
    }
}

#[cfg(test)]
mod tests {
    use measure_core::contract::answer::Content;
    use measure_core::contract::function::Expect;

    use super::*;

    fn answer(stdout: &str) -> Answer {
        Answer {
            exit_code: Some(0),
            stdout: Content::of_bytes(stdout.as_bytes()),
            ..Answer::default()
        }
    }

    fn rows(all: &[(&str, Outcome)]) -> Vec<Row> {
        let row = |(rung, outcome): &(&str, Outcome)| Row {
            rung: (*rung).to_owned(),
            outcome: outcome.clone(),
        };
        all.iter().map(row).collect()
    }

    #[test]
    fn the_first_that_answers_is_what_others_are_held_against() {
        let mut all = rows(&[
            ("thread", Outcome::Cannot("no".into())),
            ("process", Outcome::Same(answer("a"))),
            ("wasm", Outcome::Same(answer("a"))),
            ("faaslet", Outcome::Same(answer("b"))),
        ]);
        compare_rows(&mut all, &FunctionFile::default(), &Normaliser::default());
        assert_eq!(all[1].outcome.not_timed(), None);
        assert_eq!(all[2].outcome.not_timed(), None);
        let words = all[3].outcome.not_timed().expect("another");
        assert!(
            words.contains("`b` instead of `a` as on process"),
            "{words}"
        );
        assert!(all[3].outcome.is_failure() && !all[0].outcome.is_failure());
    }

    #[test]
    fn what_is_expected_counts_before_the_first() {
        let expect = Expect {
            stdout: Some("b".into()),
            ..Expect::default()
        };
        let file = FunctionFile {
            expect: Some(expect),
            ..FunctionFile::default()
        };
        let mut all = rows(&[
            ("process", Outcome::Same(answer("a"))),
            ("wasm", Outcome::Same(answer("a"))),
        ]);
        compare_rows(&mut all, &file, &Normaliser::default());
        assert!(all.iter().all(|row| row.outcome.is_failure()), "{all:?}");
    }

    #[test]
    fn an_end_without_a_code_is_a_failure_and_one_with_another_is_not_timed() {
        let late = Answer {
            exit_code: None,
            failure: Some("late".into()),
            ..answer("")
        };
        assert_eq!(came_to_its_end(late), Outcome::Failed("late".into()));
        let three = came_to_its_end(Answer {
            exit_code: Some(3),
            ..answer("")
        });
        assert!(!three.is_failure());
        assert!(three.not_timed().expect("not 0").contains("exit code 3"));
    }
}
