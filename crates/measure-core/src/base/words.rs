//! What programs say, fit to be quoted.

/// `text` on one line: each run of white space becomes a space, what acts on a terminal is written out, and what is beyond `limit`
/// characters is cut off.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    inert(line.chars().take(limit), |c| !acts(c))
}

/// A name that others gave, of at most `limit` characters, with all that is no letter, digit or sign written out.
#[must_use]
pub fn name(text: &str, limit: usize) -> String {
    let mut chars = text.chars();
    let mut name: String = chars
        .by_ref()
        .take(limit)
        .flat_map(char::escape_debug)
        .collect();
    if chars.next().is_some() {
        name.push_str("...");
    }
    name
}

/// No line of [`plain`] has more characters: what is quoted may be a whole file.
const MOST_IN_LINE: usize = 4096;

/// `text` with its lines, but with all else that acts on a terminal written out, and cut where they are longer than any that one would
/// read: what others wrote, fit for a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    let line = |line: &str| {
        let mut chars = line.chars();
        let kept = chars.by_ref().take(MOST_IN_LINE);
        let mut shown = inert(kept, |c| !acts(c) || c == '\t');
        if chars.next().is_some() {
            shown.push_str("...");
        }
        shown
    };
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

/// Whether `c` moves the user's cursor, or turns the words behind it around.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn inert(text: impl Iterator<Item = char>, is_harmless: impl Fn(char) -> bool) -> String {
    let mut inert = String::new();
    for c in text {
        if is_harmless(c) {
            inert.push(c);
        } else {
            inert.extend(c.escape_default());
        }
    }
    inert
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_and_control_characters_do_not_act() {
        assert_eq!(one_line("  KeyError:\n\t'x'  \n", 99), "KeyError: 'x'");
        assert_eq!(one_line("a\x1b[2Jb", 99), "a\\u{1b}[2Jb");
        assert_eq!(one_line("a\u{202e}b", 99), "a\\u{202e}b");
        assert_eq!(plain("a\u{2066}b"), "a\\u{2066}b");
        assert_eq!(one_line("größer", 3), "grö");
        assert_eq!(one_line(" \n", 3), "");
        assert_eq!(plain("a\n\tb\x1b[2J\r\0"), "a\n\tb\\u{1b}[2J\\r\\u{0}");
    }

    #[test]
    fn a_line_has_an_end() {
        let long = "ö".repeat(MOST_IN_LINE);
        assert_eq!(plain(&format!("{long}\n{long}")), format!("{long}\n{long}"));
        assert_eq!(plain(&format!("{long}x\ny\n")), format!("{long}...\ny\n"));
    }

    #[test]
    fn a_name_is_one_word_and_has_an_end() {
        assert_eq!(name("wasi:cli/run@0.2.0", 99), "wasi:cli/run@0.2.0");
        assert_eq!(
            name("a\x1b]0;b\x07\n\u{202e}", 99),
            "a\\u{1b}]0;b\\u{7}\\n\\u{202e}"
        );
        assert_eq!(name("größer", 3), "grö...");
        assert_eq!(name("grö", 3), "grö");
    }
}
