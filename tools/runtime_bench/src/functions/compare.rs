//! Whether two answers are the same, and where they first differ.

use std::collections::BTreeMap;

use measure_core::base::words::one_line;
use measure_core::contract::answer::{Answer, Content};
use measure_core::contract::exchange::Response;
use measure_core::contract::function::Expect;

use super::normalise::Normaliser;

/// So much of a line is quoted.
const QUOTED_CHARS: usize = 60;

/// What an answer is held against.
#[derive(Debug)]
pub(super) enum Reference<'a> {
    /// What the function's file says, as far as it says anything.
    Expected(&'a Expect),
    /// What it answered on this rung.
    Rung(&'a str, &'a Answer),
}

impl Reference<'_> {
    /// The first difference of `answer`, in words that go on from "it".
    pub(super) fn difference(&self, answer: &Answer, varies: &Normaliser) -> Option<String> {
        match self {
            Self::Expected(expect) => differs_from_expected(expect, answer, varies)
                .map(|words| format!("{words}, as its function.toml expects")),
            Self::Rung(rung, reference) => {
                differs(reference, answer, varies).map(|words| format!("{words} as on {rung}"))
            }
        }
    }
}

fn differs_from_expected(expect: &Expect, answer: &Answer, varies: &Normaliser) -> Option<String> {
    let code = expect
        .exit_code
        .and_then(|code| exit_codes(Some(code), answer));
    let stdout = || {
        let text = expect.stdout.as_ref()?;
        let expected = Content::of_bytes(text.as_bytes());
        contents("wrote", &expected, &answer.stdout, varies)
    };
    let files = || {
        let all = expect.files.iter();
        let all: BTreeMap<_, _> = all
            .map(|(path, text)| (path.clone(), Content::of_bytes(text.as_bytes())))
            .collect();
        // What is not expected may be there.
        missing_or_different(&all, &answer.files, varies)
    };
    let response = || response_expected(expect, answer.responses.first()?, varies);
    code.or_else(stdout).or_else(files).or_else(response)
}

fn differs(reference: &Answer, answer: &Answer, varies: &Normaliser) -> Option<String> {
    exit_codes(reference.exit_code, answer)
        .or_else(|| responses(reference, answer, varies))
        .or_else(|| contents("wrote", &reference.stdout, &answer.stdout, varies))
        .or_else(|| missing_or_different(&reference.files, &answer.files, varies))
        .or_else(|| {
            let more = answer
                .files
                .keys()
                .find(|path| !reference.files.contains_key(*path));
            more.map(|path| format!("wrote the file {path}, and not"))
        })
}

/// What of a handler's answer its file expects otherwise.
fn response_expected(expect: &Expect, answered: &Response, varies: &Normaliser) -> Option<String> {
    let status = expect.status.and_then(|status| statuses(status, answered));
    let body = || {
        let text = expect.body.as_ref()?;
        let expected = Content::of_bytes(text.as_bytes());
        contents("answered", &expected, &answered.body, varies)
    };
    status.or_else(body)
}

/// The first difference between two handlers' first answers.
fn responses(reference: &Answer, answer: &Answer, varies: &Normaliser) -> Option<String> {
    match (reference.responses.first(), answer.responses.first()) {
        (Some(expected), Some(answered)) => response(expected, answered, varies),
        (Some(_), None) => Some("answered no request, and one was answered".to_owned()),
        (None, Some(_)) => Some("answered a request, and none was answered".to_owned()),
        (None, None) => None,
    }
}

/// The first difference between a handler's answers to the same request.
pub(super) fn differs_from_itself(answer: &Answer, varies: &Normaliser) -> Option<String> {
    let (first, more) = answer.responses.split_first()?;
    let mut more = (2..).zip(more);
    more.find_map(|(number, again)| {
        let words = response(first, again, varies)?;
        Some(format!("{words}, to request {number} and to the first one"))
    })
}

fn response(expected: &Response, answered: &Response, varies: &Normaliser) -> Option<String> {
    let kind = |response: &Response| {
        let text = response.content_type.as_deref().unwrap_or("none");
        text.to_ascii_lowercase().replace(' ', "")
    };
    let kinds = || {
        let (expected, answered) = (kind(expected), kind(answered));
        let words = format!("answered with the Content-Type {answered} instead of {expected}");
        (expected != answered).then_some(words)
    };
    statuses(expected.status, answered)
        .or_else(kinds)
        .or_else(|| contents("answered", &expected.body, &answered.body, varies))
}

fn statuses(expected: u16, answered: &Response) -> Option<String> {
    let status = answered.status;
    (status != expected).then(|| format!("answered with status {status} instead of {expected}"))
}

fn exit_codes(expected: Option<i32>, answer: &Answer) -> Option<String> {
    if expected == answer.exit_code {
        return None;
    }
    let words = |code: Option<i32>| {
        code.map_or_else(
            || "no exit code".to_owned(),
            |code| format!("exit code {code}"),
        )
    };
    let cause = answer
        .failure
        .as_deref()
        .map_or_else(String::new, |why| format!(" ({why})"));
    Some(format!(
        "ended with {}{cause} instead of {}",
        words(answer.exit_code),
        words(expected)
    ))
}

fn missing_or_different(
    expected: &BTreeMap<String, Content>,
    found: &BTreeMap<String, Content>,
    varies: &Normaliser,
) -> Option<String> {
    expected
        .iter()
        .find_map(|(path, content)| match found.get(path) {
            None => Some(format!("did not write the file {path}")),
            Some(other) => contents(&format!("wrote into {path},"), content, other, varies),
        })
}

/// The first difference between two contents, which `did` says what was done with.
fn contents(did: &str, expected: &Content, found: &Content, varies: &Normaliser) -> Option<String> {
    if expected == found {
        return None;
    }
    let text = |content: &Content| {
        let whole = content
            .is_whole()
            .then(|| std::str::from_utf8(&content.kept).ok());
        whole.flatten().map(|text| varies.apply(text))
    };
    let (Some(expected_text), Some(found_text)) = (text(expected), text(found)) else {
        return Some(format!(
            "{did} {} bytes ({:.12}) instead of {} ({:.12})",
            found.length_bytes, found.sha256, expected.length_bytes, expected.sha256
        ));
    };
    if expected_text == found_text {
        return None;
    }
    let (mut ours, mut theirs) = (expected_text.split('\n'), found_text.split('\n'));
    let mut number = 0_u32;
    loop {
        number += 1;
        let (expected, found) = (ours.next(), theirs.next());
        if expected != found {
            return Some(format!(
                "{did} in line {number}: {} instead of {}",
                quoted(found),
                quoted(expected)
            ));
        }
        // The end of both.
        expected?;
    }
}

fn quoted(line: Option<&str>) -> String {
    match line {
        None => "nothing more".to_owned(),
        Some("") => "an empty line".to_owned(),
        Some(line) => format!("`{}`", one_line(line, QUOTED_CHARS)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(code: i32, stdout: &[u8], files: &[(&str, &str)]) -> Answer {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Content::of_bytes(text.as_bytes())));
        Answer {
            exit_code: Some(code),
            stdout: Content::of_bytes(stdout),
            files: files.collect(),
            ..Answer::default()
        }
    }

    fn first_difference(one: &Answer, other: &Answer) -> String {
        let reference = Reference::Rung("process", one);
        reference
            .difference(other, &Normaliser::default())
            .unwrap_or_default()
    }

    #[test]
    fn the_first_difference_is_named() {
        let one = answer(0, b"a\nb\nc\n", &[("f", "x")]);
        for (other, words) in [
            (
                answer(3, b"a\nb\nc\n", &[("f", "x")]),
                "ended with exit code 3 instead of exit code 0 as on process",
            ),
            (
                answer(0, b"a\nB\nc\n", &[("f", "x")]),
                "wrote in line 2: `B` instead of `b` as on process",
            ),
            (
                answer(0, b"a\nb\nc", &[("f", "x")]),
                "wrote in line 4: nothing more instead of an empty line",
            ),
            (answer(0, b"a\n\xff\nc\n", &[("f", "x")]), "instead of 6 ("),
            (
                answer(0, b"a\nb\nc\n", &[]),
                "did not write the file f as on",
            ),
            (
                answer(0, b"a\nb\nc\n", &[("f", "y")]),
                "wrote into f, in line 1: `y` instead of `x`",
            ),
            (
                answer(0, b"a\nb\nc\n", &[("f", "x"), ("g", "")]),
                "wrote the file g, and not as on process",
            ),
        ] {
            let found = first_difference(&one, &other);
            assert!(found.contains(words), "{found}");
        }
        assert_eq!(first_difference(&one, &one), "");
    }

    #[test]
    fn what_is_expected_is_all_that_counts() {
        let expect = Expect {
            stdout: Some("at <any>\n".to_owned()),
            ..Expect::default()
        };
        let varies = Normaliser::new(&["<any>|[0-9]+".to_owned()]).expect("right");
        let reference = Reference::Expected(&expect);
        let good = answer(3, b"at 17\n", &[("any", "x")]);
        assert_eq!(reference.difference(&good, &varies), None);
        let bad = answer(0, b"at noon\n", &[]);
        let words = reference.difference(&bad, &varies).expect("another");
        assert!(words.contains("function.toml expects"), "{words}");
    }

    fn response(status: u16, kind: &str, body: &str) -> Response {
        Response {
            status,
            content_type: Some(kind.to_owned()),
            body: Content::of_bytes(body.as_bytes()),
        }
    }

    #[test]
    fn answers_of_handlers_differ_in_status_kind_or_body() {
        let answer = |responses: &[Response]| Answer {
            responses: responses.to_vec(),
            ..Answer::default()
        };
        let one = response(200, "text/plain; charset=utf-8", "a\nb\n");
        let reference = answer(&[one.clone(), one.clone()]);
        for (other, words) in [
            (
                response(404, "text/plain", ""),
                "status 404 instead of 200 as on",
            ),
            (
                response(200, "text/html", "a\nb\n"),
                "Content-Type text/html instead of text/plain;charset=utf-8",
            ),
            (
                response(200, "text/plain;charset=UTF-8", "a\nB\n"),
                "answered in line 2: `B` instead of `b` as on process",
            ),
        ] {
            let found = first_difference(&reference, &answer(&[other]));
            assert!(found.contains(words), "{found}");
        }
        let varies = Normaliser::default();
        assert_eq!(differs_from_itself(&reference, &varies), None);
        let other = answer(&[
            one.clone(),
            one.clone(),
            response(200, "text/plain; charset=utf-8", "a\nc\n"),
        ]);
        let words = differs_from_itself(&other, &varies).expect("another");
        assert!(words.contains("to request 3"), "{words}");
        let expect = Expect {
            status: Some(200),
            body: Some("a\nb\n".to_owned()),
            ..Expect::default()
        };
        let reference = Reference::Expected(&expect);
        assert_eq!(reference.difference(&answer(&[one]), &varies), None);
        let bad = reference.difference(&answer(&[response(500, "", "")]), &varies);
        assert!(bad.is_some_and(|words| words.contains("status 500 instead of 200")));
        assert!(first_difference(&answer(&[]), &other).contains("none was answered"));
    }

    proptest! {
        #[test]
        fn an_answer_is_the_same_as_itself_and_no_other(one in "\\PC{0,30}", other in "\\PC{0,30}") {
            let (a, b) = (answer(0, one.as_bytes(), &[]), answer(0, other.as_bytes(), &[]));
            prop_assert_eq!(first_difference(&a, &a), "");
            prop_assert_eq!(first_difference(&a, &b).is_empty(), one == other);
        }
    }
}
