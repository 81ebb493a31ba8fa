//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use structopt::StructOpt;
use structopt::clap::AppSettings;

use measure_core::base::exit::{self, after_help};
use measure_core::base::range::in_range;

use super::error::{ArgumentError, UsageError};
use super::failures::Ignored;
use super::hyperfine::AsHyperfine;
use super::task::are_lines;

/// More runs than this are a typing error.
const MAX_RUNS: u32 = 1_000_000;
const DEFAULT_RUNS: u32 = 10;

const AFTER_HELP: &str = "\
EXAMPLES:
    measure-core -- /bin/true
    measure-core -n 50 --warmup 5 --json true.json -- /bin/true
    measure-core 'gzip -kf big' 'zstd -qf big'         (two commands by turns, and their ratios)
    measure-core -L level 1,6,9 'gzip -{level} -kf big'
    measure-core -P threads 1 8 --reference 'make -j 1' 'make -j {threads}'
    measure-core --prepare 'sync' --export-markdown table.md --command ./old --command ./new
    measure-core --show-output --ignore-failure -- make test
    measure-core --shell sh 'gzip < big | wc -c'       (the shell's own start is in it, and told apart)

COMMANDS:
    CMD ARGS...            one command, word by word
    'LINE' 'LINE'...       where the first word has a blank in it, each word is a command line, split into words
                           as a shell would split it; --command LINE does the same for any line. Options may stand
                           between and behind them
    Runs of several commands take turns in a random order (--seed), so that all of them meet the same host.

PASSES:
    wall       wall time; user and system CPU time, faults, switches and disk I/O from wait4
    counters   CPU cycles and instructions of the command and all that it starts
    memory     peak PSS and RSS of the process tree: each process is weighed at its exit (under
               ptrace) and the tree about every millisecond before";

/// Runs commands several times and reports wall time, CPU time, cycles, memory, disk I/O, faults and
/// context switches, each with its spread, and of several commands the ratios
#[derive(Debug, StructOpt)]
#[structopt(
    name = "measure-core",
    settings = &[AppSettings::TrailingVarArg, AppSettings::DeriveDisplayOrder],
    usage = "measure-core [OPTIONS] -- CMD [ARGS]...\n    measure-core [OPTIONS] 'LINE' 'LINE'...",
    after_help = after_help(AFTER_HELP),
)]
pub struct Options {
    /// Measured runs of each command in each pass [default: 10]
    #[structopt(short = "n", long, value_name = "N", parse(try_from_str = runs))]
    pub runs: Option<u32>,
    /// Unmeasured runs beforehand, so that caches are as warm for the first run as for the last
    #[structopt(short = "w", long, value_name = "W", default_value = "1", parse(try_from_str = number))]
    pub warmup: u32,
    /// A whole command line, split into words as a shell would split it; once for each command
    #[structopt(long = "command", value_name = "LINE", number_of_values = 1)]
    pub lines: Vec<String>,
    /// What a command is called in tables and files; once for each command
    #[structopt(long = "command-name", value_name = "NAME", number_of_values = 1)]
    pub names: Vec<String>,
    /// Measures once for each of VALUES, separated by commas, which stands for {NAME} in commands; several
    /// times for all combinations
    #[structopt(
        short = "L",
        long = "parameter-list",
        value_names = &["NAME", "VALUES"],
        number_of_values = 2,
        allow_hyphen_values = true
    )]
    pub parameter_lists: Vec<String>,
    /// Measures once for each number from MIN to MAX, which stands for {NAME} in commands
    #[structopt(
        short = "P",
        long,
        value_names = &["NAME", "MIN", "MAX"],
        number_of_values = 3,
        allow_hyphen_values = true
    )]
    pub parameter_scan: Vec<String>,
    /// From one number of --parameter-scan to the next, 1 if it is not given
    #[structopt(
        short = "D",
        long,
        value_name = "DELTA",
        requires = "parameter-scan",
        allow_hyphen_values = true
    )]
    pub parameter_step_size: Option<String>,
    /// A command that is measured beside all others, with no parameter filled in, and that ratios are to
    #[structopt(long, value_name = "LINE")]
    pub reference: Option<String>,
    /// What that one is called
    #[structopt(long, value_name = "NAME", requires = "reference")]
    pub reference_name: Option<String>,
    /// Runs this before each run, unmeasured; once for all commands or once for each
    #[structopt(short = "p", long, value_name = "LINE", number_of_values = 1)]
    pub prepare: Vec<String>,
    /// Runs this after each run, unmeasured; once for all commands or once for each
    #[structopt(short = "C", long, value_name = "LINE", number_of_values = 1)]
    pub conclude: Vec<String>,
    /// Runs this once for each command before its first run
    #[structopt(short = "s", long, value_name = "LINE")]
    pub setup: Option<String>,
    /// Runs this once for each command after its last run, also when that failed or a signal came
    #[structopt(short = "c", long, value_name = "LINE")]
    pub cleanup: Option<String>,
    /// Measures one command after the other, instead of all by turns: for commands that cannot be set up
    /// at the same time
    #[structopt(long)]
    pub one_after_another: bool,
    /// Has this shell run each command line; its own start is in the figures, and is told apart. `default` is
    /// sh, `none` is without [default: none]
    #[structopt(short = "S", long, value_name = "SHELL")]
    pub shell: Option<String>,
    /// Without a shell, as is the default: for those used to hyperfine
    #[structopt(short = "N", conflicts_with = "shell")]
    pub no_shell: bool,
    /// Writes everything, each single value included, to this file; `-` is standard output, in place
    /// of the table
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub json: Option<PathBuf>,
    /// Prints the JSON Schema of that form, and measures nothing
    #[structopt(long)]
    pub schema: bool,
    /// Writes wall times in the form of `hyperfine --export-json`
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub export_json: Option<PathBuf>,
    /// Writes a row for each command: the columns of `hyperfine --export-csv`, then CPU, memory and I/O
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub export_csv: Option<PathBuf>,
    /// Writes a table in Markdown, a row for each command
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub export_markdown: Option<PathBuf>,
    /// Which passes to make, separated by commas
    #[structopt(
        long,
        value_name = "PASSES",
        default_value = "wall,counters,memory",
        require_delimiter = true
    )]
    pub passes: Vec<Pass>,
    /// Lets the command write to this terminal; it writes to /dev/null otherwise
    #[structopt(long)]
    pub show_output: bool,
    /// Where the command writes: `null`, `inherit` (as --show-output), `pipe` (read and forgotten: some programs do less
    /// where their output is /dev/null), or a file, which holds the output of the last run [default: null]
    #[structopt(
        long,
        value_name = "WHERE",
        conflicts_with = "show-output",
        parse(from_os_str)
    )]
    pub output: Option<PathBuf>,
    /// What the command reads, from its beginning in each run; /dev/null otherwise, and for `null`
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub input: Option<PathBuf>,
    /// Counts a run that fails like any other, and says how many did; of CODES (1,2) only such
    #[structopt(short = "i", long, value_name = "CODES", require_equals = true)]
    pub ignore_failure: Option<Option<Ignored>>,
    /// Refuses to measure on a machine that is busy, throttled or otherwise unfit
    #[structopt(long)]
    pub strict: bool,
    /// Draws the order in which several commands take turns
    #[structopt(long, value_name = "SEED", default_value = "1", parse(try_from_str = number))]
    pub seed: u64,
    #[structopt(flatten)]
    pub as_hyperfine: AsHyperfine,
    /// The command and its arguments, after `--`; or command lines
    #[structopt(name = "CMD", required_unless_one = &["lines", "schema"], parse(from_os_str))]
    pub command: Vec<OsString>,
}

impl Options {
    /// Those of this process's command line; `commit` is as in [`exit::parse_args`].
    ///
    /// What follows a command's first word belongs to the command, and what follows a command line need not.
    #[must_use]
    pub fn parse(commit: Option<&str>) -> Self {
        let options: Self = exit::parse_args(commit);
        if !options.has_options_behind_lines() {
            return options;
        }
        exit::parse_args_as(
            Self::clap().unset_setting(AppSettings::TrailingVarArg),
            commit,
        )
    }

    fn has_options_behind_lines(&self) -> bool {
        let is_option = |word: &OsString| word.as_bytes().starts_with(b"-");
        are_lines(&self.command) && self.command.iter().any(is_option) && !self.is_behind_dashes()
    }

    /// Whether `--` stands before the command.
    pub(super) fn is_behind_dashes(&self) -> bool {
        let before = std::env::args_os().rev().nth(self.command.len());
        before.is_some_and(|word| word == "--")
    }

    /// Measured runs of each command in each pass.
    pub(super) fn runs(&self) -> u32 {
        let runs = self.runs.or(self.as_hyperfine.runs);
        let least = self.as_hyperfine.min_runs.unwrap_or(1);
        let most = self.as_hyperfine.max_runs.unwrap_or(u32::MAX);
        runs.unwrap_or_else(|| DEFAULT_RUNS.min(most).max(least))
    }

    /// Whether a run that ended with `status` counts like any other.
    pub(super) fn ignores(&self, status: ExitStatus) -> bool {
        let ignored = self.ignore_failure.as_ref();
        ignored.is_some_and(|mode| mode.as_ref().unwrap_or(&Ignored::All).covers(status))
    }

    /// Whether all numbers are in range, and the exports have what they show.
    pub(super) fn check(&self) -> Result<(), UsageError> {
        self.as_hyperfine.check()?;
        in_range("-n", self.runs(), 1..=MAX_RUNS)?;
        in_range("--warmup", self.warmup, 0..=MAX_RUNS)?;
        let exports = [
            ("--export-json", &self.export_json),
            ("--export-csv", &self.export_csv),
            ("--export-markdown", &self.export_markdown),
        ];
        if !self.passes.contains(&Pass::Wall)
            && let Some((option, _)) = exports.iter().find(|(_, file)| file.is_some())
        {
            return Err(UsageError::NoWallTime(option));
        }
        Ok(())
    }

    /// The shell that runs command lines, in words, if there is to be one.
    pub(super) fn shell_words(&self) -> Result<Option<Vec<String>>, UsageError> {
        match self.shell.as_deref() {
            None | Some("none") => Ok(None),
            Some("default") => Ok(Some(vec!["sh".to_owned()])),
            Some(line) => split("--shell", line).map(Some),
        }
    }
}

/// The words of a command line that `option` gave.
pub(super) fn split(option: &'static str, line: &str) -> Result<Vec<String>, UsageError> {
    let unreadable = || UsageError::Line {
        option,
        line: line.to_owned(),
    };
    let words = shlex::split(line).ok_or_else(unreadable)?;
    if words.is_empty() {
        return Err(unreadable());
    }
    Ok(words)
}

/// One way of running the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Wall time and what wait4 tells.
    Wall,
    /// Hardware counters.
    Counters,
    /// Peak memory.
    Memory,
}

impl Pass {
    pub(super) const ALL: [Self; 3] = [Self::Wall, Self::Counters, Self::Memory];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Counters => "counters",
            Self::Memory => "memory",
        }
    }
}

impl FromStr for Pass {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let named = Self::ALL.into_iter().find(|pass| pass.name() == text);
        named.ok_or_else(|| ArgumentError::NoPass(text.to_owned()))
    }
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, ArgumentError> {
    text.parse()
        .map_err(|_| ArgumentError::NoNumber(text.to_owned()))
}

fn runs(text: &str) -> Result<u32, ArgumentError> {
    number(text).map_err(|_| ArgumentError::NoRuns(text.to_owned()))
}
