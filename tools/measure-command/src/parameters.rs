//! Lists of values that are filled into commands.

use std::collections::BTreeMap;

use super::error::UsageError;
use super::options::Options;
use super::scan;

/// More commands than this in one run are a typing error.
pub(super) const MAX_COMMANDS: usize = 1000;

/// What stands for each name, in one command.
pub(super) type Parameters = BTreeMap<String, String>;

/// `-L NAME VALUES`, or the numbers of `-P NAME MIN MAX`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    name: String,
    values: Vec<String>,
}

/// Those of `-L` and then of `-P`.
///
/// # Errors
/// A name that is none, or given twice, a list without values, or what is no number.
pub(super) fn lists(options: &Options) -> Result<Vec<List>, UsageError> {
    let step = options.parameter_step_size.as_deref().unwrap_or("1");
    let mut all = Vec::new();
    for pair in options.parameter_lists.chunks_exact(2) {
        push(&mut all, &pair[0], || values_of(&pair[0], &pair[1]))?;
    }
    for scan in options.parameter_scan.chunks_exact(3) {
        let numbers = [&scan[1], &scan[2], step];
        push(&mut all, &scan[0], || {
            scan::values(&scan[0], numbers, MAX_COMMANDS)
        })?;
    }
    Ok(all)
}

fn push(
    all: &mut Vec<List>,
    name: &str,
    values: impl FnOnce() -> Result<Vec<String>, UsageError>,
) -> Result<(), UsageError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(UsageError::ParameterName(name.to_owned()));
    }
    if all.iter().any(|other| other.name == name) {
        return Err(UsageError::ParameterTwice(name.to_owned()));
    }
    all.push(List {
        name: name.to_owned(),
        values: values()?,
    });
    Ok(())
}

/// All combinations of the lists: the values of the first list change fastest, as in hyperfine. Without a list one combination
/// of nothing.
///
/// # Errors
/// Too many combinations for `commands`.
pub(super) fn combinations(lists: &[List], commands: usize) -> Result<Vec<Parameters>, UsageError> {
    let combined = lists
        .iter()
        .fold(1_usize, |n, list| n.saturating_mul(list.values.len()));
    let all = combined.saturating_mul(commands);
    if all > MAX_COMMANDS {
        return Err(UsageError::TooManyCommands(MAX_COMMANDS));
    }
    let nothing = vec![Parameters::new()];
    // The last list is the outermost.
    Ok(lists.iter().rev().fold(nothing, |outer, list| {
        let with_each = |parameters: &Parameters| {
            let parameters = parameters.clone();
            list.values.iter().map(move |value| {
                let mut parameters = parameters.clone();
                parameters.insert(list.name.clone(), value.clone());
                parameters
            })
        };
        outer.iter().flat_map(with_each).collect()
    }))
}

/// The text between commas; `\,` is a comma of a value.
fn values_of(name: &str, text: &str) -> Result<Vec<String>, UsageError> {
    if text.is_empty() {
        return Err(UsageError::NoValues(name.to_owned()));
    }
    let mut values = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&',') => {
                chars.next();
                push_char(&mut values, ',');
            }
            ',' => values.push(String::new()),
            c => push_char(&mut values, c),
        }
    }
    Ok(values)
}

fn push_char(values: &mut [String], c: char) {
    if let Some(last) = values.last_mut() {
        last.push(c);
    }
}

/// `text` with each `{NAME}` filled in, in one pass: a value that holds braces is not filled in again.
pub(super) fn fill_in(text: &str, parameters: &Parameters) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, at) = rest.split_at(open);
        filled.push_str(before);
        let named = parameters.iter().find_map(|(name, value)| {
            let after = at[1..].strip_prefix(name.as_str())?.strip_prefix('}')?;
            Some((value, after))
        });
        match named {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = &at[1..];
            }
        }
    }
    filled + rest
}

/// The parameters that `text` does not mention.
pub(super) fn unused<'a>(
    text: &str,
    parameters: &'a Parameters,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    let mentions = |name: &str| text.contains(&format!("{{{name}}}"));
    let unused: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| !mentions(name))
        .collect();
    unused.into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use structopt::StructOpt;

    use super::*;

    fn given(words: &[&str], commands: usize) -> Result<Vec<Parameters>, UsageError> {
        let words = [&["measure-core"], words, &["true"]].concat();
        combinations(&lists(&Options::from_iter(words))?, commands)
    }

    #[test]
    fn the_first_list_changes_fastest() {
        let all = given(&["-L", "a", "1,2", "-L", "b", "x,y"], 1).expect("lists");
        let shown: Vec<String> = all.iter().map(|p| fill_in("{a}{b}", p)).collect();
        assert_eq!(shown, ["1x", "2x", "1y", "2y"]);
        let all = given(&["-P", "n", "0", "1", "-L", "a", "x"], 1).expect("a scan");
        let shown: Vec<String> = all.iter().map(|p| fill_in("{n}{a}", p)).collect();
        assert_eq!(shown, ["0x", "1x"]);
        assert_eq!(given(&[], 3).expect("nothing"), [Parameters::new()]);
    }

    #[test]
    fn lists_that_are_none_are_told() {
        for (words, says) in [
            (&["-L", "a{", "1,2"][..], "not a name"),
            (&["-L", "a", "1", "-L", "a", "2"], "given twice"),
            (&["-L", "a", "1", "-P", "a", "2", "3"], "given twice"),
            (&["-L", "a", "1,2,3"], "at most 1000"),
            (&["-P", "a", "1", "1000000000000"], "at most 1000"),
            (&["-L", "a", ""], "no values"),
            (&["-P", "a", "2", "1"], "no values"),
        ] {
            let error = given(words, 400).expect_err(says).to_string();
            assert!(error.contains(says), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_comma_may_belong_to_a_value() {
        let values = |text| values_of("a", text).expect("values");
        assert_eq!(values(r"a\,b,c,"), ["a,b", "c", ""]);
        assert_eq!(values(r"a\b"), [r"a\b"]);
    }

    #[test]
    fn what_is_no_parameter_stays_and_values_are_not_filled_in_again() {
        let parameters = Parameters::from([
            ("a".to_owned(), "{b}".to_owned()),
            ("b".to_owned(), "2".to_owned()),
        ]);
        let filled = fill_in("{a} {b} {c} {} { {{b}}", &parameters);
        assert_eq!(filled, "{b} 2 {c} {} { {2}");
        let left: Vec<_> = unused("{a}", &parameters).map(|(name, _)| name).collect();
        assert_eq!(left, ["b"]);
    }

    proptest! {
        #[test]
        fn text_without_a_parameter_is_unchanged(text in "[a-z{} ]{0,40}") {
            let parameters = Parameters::from([("Z".to_owned(), "!".to_owned())]);
            prop_assert_eq!(fill_in(&text, &parameters), text);
        }

        #[test]
        fn values_survive_their_list(values in prop::collection::vec("[a-z,]{1,5}", 1..6)) {
            let escaped: Vec<String> = values.iter().map(|v| v.replace(',', "\\,")).collect();
            prop_assert_eq!(values_of("a", &escaped.join(",")).expect("values"), values);
        }
    }
}
