//! What programs say, fit to be quoted.

/// `text` on one line: each run of white space becomes a space, other control characters are written out, as they could
/// move the user's cursor, and what is beyond `limit` characters is cut off.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut plain = String::new();
    for c in line.chars().take(limit) {
        if c.is_control() {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_and_control_characters_do_not_act() {
        assert_eq!(one_line("  KeyError:\n\t'x'  \n", 99), "KeyError: 'x'");
        assert_eq!(one_line("a\x1b[2Jb", 99), "a\\u{1b}[2Jb");
        assert_eq!(one_line("größer", 3), "grö");
        assert_eq!(one_line(" \n", 3), "");
    }
}
