//! Words of reports as HTML: what stands between backticks is code, lines that begin with a dash are items.

use std::collections::BTreeMap;

use maud::{Markup, html};

/// Text with its code marked.
#[must_use]
pub fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backticks marks nothing.
    let is_marked = parts.len() % 2 == 1;
    html! {
        @if is_marked {
            @for (at, part) in parts.iter().enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

/// The lines of `text` that begin with a dash as a list; nothing if there are none.
#[must_use]
pub fn bullets(text: &str) -> Markup {
    let items: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("- ")).collect();
    html! {
        @if !items.is_empty() {
            ul { @for item in items { li { (prose(item)) } } }
        }
    }
}

/// An id within a page for each of the `names` of parts of one kind, none twice.
#[must_use]
pub fn part_ids<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, String> {
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    for (number, name) in names.enumerate() {
        let mut id = format!("{kind}-{}", slug(name));
        if ids.values().any(|known| *known == id) {
            id = format!("{id}-{number}");
        }
        ids.insert(name, id);
    }
    ids
}

/// An id within a page made of `text`: small letters, digits and dashes.
#[must_use]
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_items_are_marked_and_the_rest_is_inert() {
        assert_eq!(
            prose("a `b <c>` d").into_string(),
            "a <code>b &lt;c&gt;</code> d"
        );
        assert_eq!(prose("a ` b").into_string(), "a ` b");
        assert_eq!(
            bullets("- one\nnot\n- two").into_string(),
            "<ul><li>one</li><li>two</li></ul>"
        );
        assert_eq!(slug("Time <of> a Start!"), "time-of-a-start");
        let ids = part_ids("rung", ["a b", "c", "a-b"].into_iter());
        assert_eq!(
            ids.into_iter().collect::<Vec<_>>(),
            [
                ("a b", "rung-a-b".to_owned()),
                ("a-b", "rung-a-b-2".to_owned()),
                ("c", "rung-c".to_owned())
            ]
        );
    }
}
