//! What of an answer varies by nature, taken out of it before it is compared.

use measure_core::base::ids;
use regex_lite::Regex;

use super::error::FunctionError;

/// Times of day, dates, seconds since 1970, durations.
const TIME: [&str; 4] = [
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?(Z| ?[+-]\d{2}:?\d{2})?)?",
    r"\b\d{1,2}:\d{2}:\d{2}([.,]\d+)?\b",
    r"\b1\d{9}(\d{3}|\d{6}|\d{9})?(\.\d+)?\b",
    r"\b\d+(\.\d+)?(e-?\d+)? ?(ns|us|µs|ms|s|seconds?|minutes?)\b",
];
const PID: [&str; 1] = [r"(?i)\bpid[ =:]*\d+"];
/// Identifiers and numbers that are drawn: UUIDs, long runs of hexadecimal digits, addresses.
const RANDOM: [&str; 3] = [
    r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    r"(?i)\b[0-9a-f]{16,}\b",
    r"(?i)\b0x[0-9a-f]{6,}\b",
];

/// What varies and has a name.
const KINDS: [&str; 3] = ["time", "pid", "random"];

/// Takes out of texts what varies.
#[derive(Debug, Default)]
pub(super) struct Normaliser {
    rules: Vec<(Regex, String)>,
}

impl Normaliser {
    /// For what `varies`: `time`, `pid`, `random`, or a regular expression.
    ///
    /// # Errors
    /// One that is neither.
    pub(super) fn new(varies: &[String]) -> Result<Self, FunctionError> {
        let mut rules = Vec::new();
        for what in varies {
            let (expressions, name): (&[&str], _) = match what.as_str() {
                "time" => (&TIME, "<time>"),
                "pid" => (&PID, "<pid>"),
                "random" => (&RANDOM, "<random>"),
                own => {
                    not_mistyped(own)?;
                    (&[own][..], "<varies>")
                }
            };
            for expression in expressions {
                let rule = Regex::new(expression).map_err(|e| {
                    FunctionError::Refused(format!(
                        "varies: `{what}` is neither time, pid nor random, and no regular expression: {e}"
                    ))
                })?;
                rules.push((rule, name.to_owned()));
            }
        }
        Ok(Self { rules })
    }

    /// `text` with words in place of what varies.
    pub(super) fn apply(&self, text: &str) -> String {
        let rules = self.rules.iter();
        rules.fold(text.to_owned(), |text, (rule, name)| {
            // The name is put in as it is, whatever it is made of.
            let name = regex_lite::NoExpand(name);
            rule.replace_all(&text, name).into_owned()
        })
    }
}

/// Refuses a word that is nearly one of [`KINDS`]: as an expression it would find nothing, and nobody would be told.
fn not_mistyped(expression: &str) -> Result<(), FunctionError> {
    let is_word = expression.len() > 2 && expression.bytes().all(|b| b.is_ascii_alphabetic());
    match ids::nearest(expression, &KINDS.map(str::to_owned)) {
        Some(meant) if is_word => Err(FunctionError::Refused(format!(
            "varies: `{expression}` is neither time, pid nor random, did you mean `{meant}`? As a regular expression it is `({expression})`"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varies(what: &[&str]) -> Normaliser {
        let what: Vec<String> = what.iter().map(ToString::to_string).collect();
        Normaliser::new(&what).expect("right")
    }

    #[test]
    fn what_varies_is_named_and_the_rest_stays() {
        let time = varies(&["time"]);
        for text in [
            "at 2026-11-30T00:12:04Z",
            "at 2026-11-30 00:12:04.123 +0100",
            "at 00:12:04",
            "at 1764460000",
            "at 1764460000123",
            "at 12.5 ms",
        ] {
            assert_eq!(time.apply(text), "at <time>", "{text}");
        }
        assert_eq!(time.apply("order 4711, 3 items"), "order 4711, 3 items");
        let other = varies(&["pid", "random", "run [0-9]+"]);
        let text = "pid 12: run 7 of 123e4567-e89b-42d3-a456-426614174000 at 0x7ffd1234";
        assert_eq!(other.apply(text), "<pid>: <varies> of <random> at <random>");
        let error = Normaliser::new(&["(".to_owned()])
            .expect_err("refused")
            .to_string();
        assert!(error.contains("no regular expression"), "{error}");
    }

    #[test]
    fn a_mistyped_name_is_told_and_a_word_can_be_meant() {
        for (given, meant) in [("tiem", "time"), ("Time", "time"), ("ramdom", "random")] {
            let error = Normaliser::new(&[given.to_owned()]).expect_err(given);
            let said = error.to_string();
            assert!(
                said.contains(&format!("did you mean `{meant}`?")) && said.contains(given),
                "{said}"
            );
        }
        let meant = varies(&["(tiem)", "id", "order", "t.me"]);
        assert_eq!(meant.apply("tiem 7"), "<varies> 7");
    }

    proptest! {
        #[test]
        fn without_anything_that_varies_a_text_is_itself(text in "\\PC{0,60}") {
            prop_assert_eq!(varies(&[]).apply(&text), text.clone());
            let _ = varies(&["time", "pid", "random"]).apply(&text);
        }
    }
}
