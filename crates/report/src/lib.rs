//! Tables from records alone: what a run directory holds goes in, the content of its CSV, Markdown and
//! terminal tables comes out. Nothing here measures, looks at the host or reads a clock, so the same
//! records give the same bytes.

mod csv_files;
pub mod differences;
mod format;
mod host;
mod ladder_plot;
mod markdown;
mod memory;
mod records;
mod summary;
mod summary_file;
mod terminal;
mod time;
pub mod two_runs;

pub use format::{bytes, count, duration_ns, ratio};
pub use host::Disturbance;
pub use markdown::environment;
pub use markdown::host::section as host_section;
pub use memory::{MemoryRow, Quantity, Reading};
pub use records::{Records, read_json};
pub use summary::{RunSummary, RungSummary};
pub use summary_file::{as_typed, cpu, measured_on};
pub use terminal::terminal;
pub use time::{
    Design, DesignRow, HandlerRow, PerStart, PhaseRow, RequestRow, Throughput, TimeRow,
};

/// A file of the run directory that is made from its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its name in the run directory.
    pub name: &'static str,
    /// Its whole content.
    pub content: String,
}

/// Every file that is made from the records of `summary`.
#[must_use]
pub fn render(summary: &RunSummary<'_>) -> Vec<Rendered> {
    let mut files = csv_files::render(summary);
    let plot = ladder_plot::svg(summary);
    files.push(Rendered {
        name: "report.md",
        content: markdown::render(summary, plot.is_some()),
    });
    files.extend(summary_file::render(summary));
    if let Some(content) = plot {
        files.push(Rendered {
            name: ladder_plot::FILE,
            content,
        });
    }
    files
}
