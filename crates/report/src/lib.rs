//! Tables from records alone: what a run directory holds goes in, the content of its CSV, Markdown and
//! terminal tables comes out. Nothing here measures, looks at the host or reads a clock, so the same
//! records give the same bytes.

mod capacity;
mod costs;
mod csv_files;
mod curves;
pub mod differences;
mod drawing;
mod faasm_csv;
mod format;
pub mod history;
mod host;
pub mod hosts;
pub mod html;
mod ladder_plot;
mod letters;
pub mod load;
mod markdown;
mod memory;
mod paper;
mod prices;
mod records;
mod rendered;
mod rung_samples;
mod scaling_plot;
mod summary;
mod summary_file;
mod terminal;
mod time;
pub mod two_runs;

pub use capacity::{CapacityPoint, CapacityRow, GaveWay};
pub use costs::price_table;
pub use faasm_csv::faasm_csv_files;
pub use format::{bytes, count, duration_ns, ratio};
pub use host::Disturbance;
pub use markdown::environment;
pub use markdown::host::{host_table, section as host_section};
pub use memory::{MemoryRow, Quantity, Reading};
pub use paper::beside_the_paper;
pub use prices::{PriceError, Prices};
pub use records::{Records, TORN, read_json};
pub use rendered::Rendered;
pub use summary::{RunSummary, RungSummary};
pub use summary_file::{as_typed, cpu, measured_on};
pub use terminal::terminal;
pub use time::{
    Design, DesignRow, HandlerRow, PerStart, PhaseRow, RequestRow, Throughput, TimeRow, scalability,
};

/// Every file that is made from the records of `summary`.
#[must_use]
pub fn render(summary: &RunSummary<'_>) -> Vec<Rendered> {
    let mut files = csv_files::render(summary);
    let plots = [
        (ladder_plot::FILE, ladder_plot::svg(summary)),
        (capacity::FILE, capacity::svg(summary)),
        (scaling_plot::FILE, scaling_plot::svg(summary)),
    ];
    let drawn = plots.into_iter();
    let drawn = drawn.filter_map(|(name, content)| {
        Some(Rendered {
            name,
            content: content?,
        })
    });
    let plots: Vec<Rendered> = drawn.collect();
    let has_plot = |name: &str| plots.iter().any(|plot| plot.name == name);
    files.push(Rendered {
        name: "report.md",
        content: markdown::render(summary, &has_plot),
    });
    files.push(html::run::render(summary));
    files.extend(summary_file::render(summary));
    files.extend(load::csv_files(&summary.loads));
    files.extend(load::plots(summary));
    files.extend(plots);
    files
}
