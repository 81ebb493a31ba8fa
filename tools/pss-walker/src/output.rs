//! Lines of the table, and the way to standard output.

use std::fmt::Write as _;

use measure_core::base::stdout::{self, Reader};
use probes::memory::{Memory, Walk};

use crate::WalkerError;

/// Columns of a row of numbers, in KiB.
pub(crate) fn columns(memory: Memory) -> String {
    let kib = |bytes: u64| bytes / 1024;
    format!(
        "{:>11}{:>11}{:>11}{:>11}",
        kib(memory.pss_bytes),
        kib(memory.uss_bytes),
        kib(memory.rss_bytes),
        kib(memory.swap_bytes)
    )
}

/// Headings over [`columns`].
pub(crate) fn headings() -> String {
    format!(
        "{:>11}{:>11}{:>11}{:>11}",
        "PSS KiB", "USS KiB", "RSS KiB", "SWAP KiB"
    )
}

/// What is not in the numbers, in words; empty if all is.
pub(crate) fn left_out(walk: &Walk) -> String {
    let mut text = String::new();
    let kinds = [
        (walk.vanished, "vanished during the walk"),
        (walk.denied, "may not be read"),
        (
            walk.without_memory,
            "zombies or kernel threads, without memory",
        ),
        (
            walk.sharing,
            "in their parent's address space, counted with it",
        ),
        (walk.missing_roots.len(), "of the roots gone"),
    ];
    for (count, what) in kinds {
        if count > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, "; {count} {what}");
        }
    }
    text
}

/// Writes whole lines at once.
pub(crate) fn print(text: &str) -> Result<Reader, WalkerError> {
    stdout::print(text).map_err(WalkerError::Output)
}

/// One JSON line of kind `kind`.
pub(crate) fn json_line(kind: &str, value: &impl serde::Serialize) -> String {
    #[derive(serde::Serialize)]
    struct Line<'a, T> {
        kind: &'a str,
        #[serde(flatten)]
        value: &'a T,
    }
    // Plain data with string keys always serialises.
    let mut line = serde_json::to_string(&Line { kind, value }).unwrap_or_default();
    line.push('\n');
    line
}
