//! Lists of values that are filled into commands.

use std::collections::BTreeMap;

use super::options::UsageError;

/// More commands than this in one run are a typing error.
pub(super) const MAX_COMMANDS: usize = 1000;

/// What stands for each name, in one command.
pub(super) type Parameters = BTreeMap<String, String>;

/// `-L NAME VALUES`.
#[derive(Debug, PartialEq, Eq)]
struct List {
    name: String,
    values: Vec<String>,
}

/// All combinations of the lists, given as names and values by turns: the values of the first list change fastest, as in
/// hyperfine. Without a list one combination of nothing.
///
/// # Errors
/// A name that is none, or given twice, an empty list, or too many combinations for `commands`.
pub(super) fn combinations(
    words: &[String],
    commands: usize,
) -> Result<Vec<Parameters>, UsageError> {
    let mut lists: Vec<List> = Vec::new();
    for pair in words.chunks_exact(2) {
        let list = list(&pair[0], &pair[1])?;
        if lists.iter().any(|other| other.name == list.name) {
            return Err(UsageError::ParameterTwice(list.name));
        }
        lists.push(list);
    }
    let combined = lists
        .iter()
        .fold(1_usize, |n, list| n.saturating_mul(list.values.len()));
    let all = combined.saturating_mul(commands);
    if all > MAX_COMMANDS {
        return Err(UsageError::TooManyCommands(all, MAX_COMMANDS));
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

fn list(name: &str, values: &str) -> Result<List, UsageError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(UsageError::ParameterName(name.to_owned()));
    }
    if values.is_empty() {
        return Err(UsageError::NoValues(name.to_owned()));
    }
    Ok(List {
        name: name.to_owned(),
        values: values_of(values),
    })
}

/// The text between commas; `\,` is a comma of a value.
fn values_of(text: &str) -> Vec<String> {
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
    values
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

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_list_changes_fastest() {
        let all = combinations(&words("a 1,2 b x,y"), 1).expect("lists");
        let shown: Vec<String> = all.iter().map(|p| fill_in("{a}{b}", p)).collect();
        assert_eq!(shown, ["1x", "2x", "1y", "2y"]);
        assert_eq!(combinations(&[], 3).expect("nothing"), [Parameters::new()]);
    }

    #[test]
    fn lists_that_are_none_are_told() {
        for (given, says) in [
            ("a{ 1,2", "not a name"),
            ("a 1 a 2", "given twice"),
            ("a 1,2,3", "at most 1000"),
        ] {
            let error = combinations(&words(given), 400)
                .expect_err(given)
                .to_string();
            assert!(error.contains(says), "{given}: {error}");
        }
        let empty = ["a".to_owned(), String::new()];
        let error = combinations(&empty, 1).expect_err("empty").to_string();
        assert!(error.contains("no values"), "{error}");
    }

    #[test]
    fn a_comma_may_belong_to_a_value() {
        assert_eq!(values_of(r"a\,b,c,"), ["a,b", "c", ""]);
        assert_eq!(values_of(r"a\b"), [r"a\b"]);
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
        fn values_survive_their_list(values in prop::collection::vec("[a-z,]{0,5}", 1..6)) {
            let escaped: Vec<String> = values.iter().map(|v| v.replace(',', "\\,")).collect();
            prop_assert_eq!(values_of(&escaped.join(",")), values);
        }
    }
}
