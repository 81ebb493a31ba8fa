//! The figures of the pages, made from the summaries of named reference runs.
//!
//! A summary lies in `docs/reference/<name>.json`, as a run left it (`summary.json`). A page says which of its tables and
//! cells it shows, in comments that readers do not see; what stands between them is made from the summary, so that no page can
//! contradict it, nor another page. An interval that stands anywhere else in a page is a figure without a run.

mod error;
mod page;
mod reference;

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::exit::{Exit, after_help};
use measure_core::base::files::replace_file;
use structopt::StructOpt;

pub use error::FigureError;

use reference::References;

const EXAMPLES: &str = "\
EXAMPLES:
    doc-figures README.md docs/*.md              write the figures of the reference runs into the pages
    doc-figures --check README.md docs/*.md      fail if a page shows another figure, write nothing
    doc-figures --take quick=results/latest      make that run the reference `quick`, then write pages

IN A PAGE:
    <!-- figures quick.ladder -->                a table in Markdown, as wide as it is
    <!-- figures quick.ladder as text; columns runtime, PSS; rows wasm, docker-none -->
    <!-- end of figures -->
    <!--= quick.ladder | wasm | PSS -->20 KiB<!--=-->      one cell, within a sentence
";

/// Writes the figures of reference runs into pages, or checks that they stand there
#[derive(Debug, StructOpt)]
#[structopt(name = "doc-figures", after_help = after_help(EXAMPLES))]
pub struct Options {
    /// Change nothing; end with 1 if a page shows another figure than its run's
    #[structopt(long)]
    check: bool,
    /// Take the summary of a run (NAME=DIR, DIR as `runtime_bench` or `poly_bench` left it) as the reference NAME
    #[structopt(long, value_name = "NAME=DIR", number_of_values = 1)]
    take: Vec<String>,
    /// Where the references lie
    #[structopt(long, value_name = "DIR", default_value = "docs/reference")]
    reference: PathBuf,
    /// Markdown files
    #[structopt(value_name = "PAGE", parse(from_os_str))]
    pages: Vec<PathBuf>,
}

/// Carries out a command line.
///
/// # Errors
/// See [`FigureError`].
pub fn run(options: &Options) -> Result<Exit, FigureError> {
    for taken in &options.take {
        let (name, dir) = taken
            .split_once('=')
            .ok_or_else(|| FigureError::Take(taken.clone()))?;
        reference::take(&options.reference, name, Path::new(dir))?;
    }
    let references = References::read(&options.reference)?;
    let mut wrong = 0;
    for path in &options.pages {
        let read = |source| FigureError::Page {
            path: path.clone(),
            source,
        };
        let text = fs::read_to_string(path).map_err(read)?;
        let page = page::fill(&text, &references).map_err(|(line, fault)| FigureError::Fault {
            path: path.clone(),
            line,
            fault,
        })?;
        for (line, interval) in &page.unsourced {
            eprintln!(
                "{}:{line}: {interval} is a figure without a run: show it from a reference, or move it to docs/lab-notes",
                path.display()
            );
        }
        wrong += page.unsourced.len();
        if page.text == text {
            continue;
        }
        if options.check {
            let (line, stands, belongs) = page::first_difference(&text, &page.text);
            eprintln!(
                "{}:{line}: `{stands}` stands where its run says `{belongs}`; `make figures` mends it",
                path.display()
            );
            wrong += 1;
        } else {
            replace_file(path, page.text.as_bytes()).map_err(read)?;
            println!("{}: written anew", path.display());
        }
    }
    match wrong {
        0 => Ok(Exit::Ok),
        wrong => Err(FigureError::Wrong(wrong)),
    }
}
