//! Tables from records alone: what a run directory holds goes in, the content of its CSV, Markdown and
//! terminal tables comes out. Nothing here measures, looks at the host or reads a clock, so the same
//! records give the same bytes.

mod csv_files;
mod format;
mod ladder_plot;
mod markdown;
mod memory;
mod records;
mod table;
mod terminal;
mod time;

pub use format::{bytes, count, duration_ns, ratio};
pub use markdown::environment;
pub use memory::{MemoryRow, memory_rows};
pub use records::{Records, read_json};
pub use table::{Align, Table};
pub use terminal::terminal;
pub use time::{TimeRow, time_rows};

/// A file of the run directory that is made from its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its name in the run directory.
    pub name: &'static str,
    /// Its whole content.
    pub content: String,
}

/// Every file that is made from `records`.
#[must_use]
pub fn render(records: &Records) -> Vec<Rendered> {
    let (times, memories) = (time_rows(records), memory_rows(records));
    let mut files = csv_files::render(records, &times, &memories);
    files.push(Rendered {
        name: "report.md",
        content: markdown::render(records, &times, &memories),
    });
    if let Some(content) = ladder_plot::svg(records, &times, &memories) {
        files.push(Rendered {
            name: ladder_plot::FILE,
            content,
        });
    }
    files
}
