//! Words of reports as HTML: what stands between backticks is code, lines that begin with a dash are items.

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
    }
}
