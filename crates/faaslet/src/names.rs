//! What modules call things, as messages repeat it.

/// A list in an error message ends after this many.
const SHOWN: usize = 8;

/// What a module calls something may be 100 000 bytes long.
pub(crate) const NAME_CHARS: usize = 200;

/// The first of `names`, and how many more there are; nothing of none.
pub(crate) fn shown(mut names: impl Iterator<Item = String>) -> Option<String> {
    let first: Vec<String> = names.by_ref().take(SHOWN).collect();
    let shown = first.join(", ");
    match (first.len(), names.count()) {
        (0, _) => None,
        (_, 0) => Some(shown),
        (_, more) => Some(format!("{shown} and {more} more")),
    }
}
