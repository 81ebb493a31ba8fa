//! What users of hyperfine type besides: spellings that are taken here too, and options in whose place something else stands.

use structopt::StructOpt;

use super::error::UsageError;
use super::options::number;

// Spellings that are taken here too, and `Elsewhere`.
// Not a doc comment: that of what is flattened would be the tool's own in --help.
#[derive(Debug, StructOpt)]
pub struct AsHyperfine {
    /// The same as -n, for those used to hyperfine
    #[structopt(
        name = "r",
        short = "r",
        value_name = "N",
        conflicts_with = "runs",
        parse(try_from_str = number)
    )]
    pub runs: Option<u32>,
    /// As many runs at least; none are added by time, so it is the number of runs if it is above 10
    #[structopt(
        short = "m",
        long,
        value_name = "N",
        conflicts_with_all = &["runs", "r"],
        parse(try_from_str = number)
    )]
    pub min_runs: Option<u32>,
    /// As many runs at most
    #[structopt(
        short = "M",
        long,
        value_name = "N",
        conflicts_with_all = &["runs", "r"],
        parse(try_from_str = number)
    )]
    pub max_runs: Option<u32>,
    #[structopt(flatten)]
    pub elsewhere: Elsewhere,
}

// What is refused with a word on what to do.
#[derive(Debug, StructOpt)]
pub struct Elsewhere {
    #[structopt(long, hidden = true)]
    sort: Option<String>,
    #[structopt(long, hidden = true)]
    style: Option<String>,
    #[structopt(short = "u", long, hidden = true)]
    time_unit: Option<String>,
    #[structopt(long, hidden = true)]
    export_asciidoc: Option<String>,
    #[structopt(long, hidden = true)]
    export_orgmode: Option<String>,
    #[structopt(short = "E", long, hidden = true)]
    show_elapsed: bool,
}

impl AsHyperfine {
    /// # Errors
    /// An option in whose place something else stands.
    pub(super) fn check(&self) -> Result<(), UsageError> {
        let given = &self.elsewhere;
        let table = "tables in other forms are left to --export-markdown, --export-csv and --json";
        let refused = [
            (
                given.sort.is_some(),
                "--sort",
                "commands keep the order in which they are given",
            ),
            (
                given.style.is_some(),
                "--style",
                "nothing is coloured; --quiet takes the progress away, and `--json -` the table",
            ),
            (
                given.time_unit.is_some(),
                "--time-unit",
                "each number has the unit that suits it; exports for programs are in seconds, --json in nanoseconds",
            ),
            (given.export_asciidoc.is_some(), "--export-asciidoc", table),
            (given.export_orgmode.is_some(), "--export-orgmode", table),
            (
                given.show_elapsed,
                "--show-elapsed",
                "the time that is left is shown without an option",
            ),
        ];
        match refused.into_iter().find(|(is_given, ..)| *is_given) {
            Some((_, option, instead)) => Err(UsageError::Hyperfines { option, instead }),
            None => Ok(()),
        }
    }
}
