//! What columns mean, said where their table is.

/// Names of columns and what each means. A name that begins or ends with `*` stands for all that end or begin as it goes on, one that does both for
/// all that hold the rest.
pub type Legend = &'static [(&'static str, &'static str)];

/// Of tables whose columns need no words.
pub const SELF_EVIDENT: Legend = &[];

/// What the column `name` means.
#[must_use]
pub fn meaning(legend: Legend, name: &str) -> Option<&'static str> {
    let is_it = |pattern: &str| {
        let inner = pattern
            .strip_prefix('*')
            .and_then(|rest| rest.strip_suffix('*'));
        if let Some(inner) = inner.filter(|inner| !inner.is_empty()) {
            return name.contains(inner);
        }
        let suffix = pattern.strip_prefix('*').map(|end| name.ends_with(end));
        let prefix = pattern
            .strip_suffix('*')
            .map(|start| name.starts_with(start));
        suffix.or(prefix).unwrap_or(pattern == name)
    };
    let found = legend.iter().find(|(pattern, _)| is_it(pattern));
    found.map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_beginning_or_end() {
        let legend: Legend = &[
            ("Median", "m"),
            ("* workers", "w"),
            ("wasm/*", "r"),
            ("*||*", "c"),
        ];
        assert_eq!(meaning(legend, "Median"), Some("m"));
        assert_eq!(meaning(legend, "4 workers"), Some("w"));
        assert_eq!(meaning(legend, "wasm/best native"), Some("r"));
        assert_eq!(meaning(legend, "a||b"), Some("c"));
        assert_eq!(meaning(legend, "p99"), None);
    }
}
