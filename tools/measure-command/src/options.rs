//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use structopt::StructOpt;
use structopt::clap::AppSettings;

use measure_core::base::exit::after_help;
use measure_core::base::ids;
use measure_core::base::range::{OutOfRange, in_range};

/// More runs than this are a typing error.
const MAX_RUNS: u32 = 1_000_000;

const AFTER_HELP: &str = "\
EXAMPLES:
    measure-core -- /bin/true
    measure-core -n 50 --warmup 5 --json true.json -- /bin/true
    measure-core 'gzip -kf big' 'zstd -qf big'         (two commands by turns, and their ratios)
    measure-core -L level 1,6,9 'gzip -{level} -kf big'
    measure-core --prepare 'sync' --export-markdown table.md --command ./old --command ./new
    measure-core --show-output --ignore-failure -- make test
    measure-core --shell sh 'gzip < big | wc -c'       (the shell's own start is in it, and told apart)

COMMANDS:
    CMD ARGS...            one command, word by word
    'LINE' 'LINE'...       where the first word has a blank in it, each word is a command line, split into words
                           as a shell would split it; --command LINE does the same for any line
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
    /// Measured runs of each command in each pass
    #[structopt(short = "n", long, value_name = "N", default_value = "10", parse(try_from_str = number))]
    pub runs: u32,
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
    /// Runs this before each run, unmeasured; once for all commands or once for each
    #[structopt(short = "p", long, value_name = "LINE", number_of_values = 1)]
    pub prepare: Vec<String>,
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
    /// What the command reads, from its beginning in each run; /dev/null otherwise
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub input: Option<PathBuf>,
    /// Counts a run that fails like any other, and says how many did
    #[structopt(short = "i", long)]
    pub ignore_failure: bool,
    /// Refuses to measure on a machine that is busy, throttled or otherwise unfit
    #[structopt(long)]
    pub strict: bool,
    /// Draws the order in which several commands take turns
    #[structopt(long, value_name = "SEED", default_value = "1", parse(try_from_str = number))]
    pub seed: u64,
    /// The command and its arguments, after `--`; or command lines
    #[structopt(name = "CMD", required_unless_one = &["lines", "schema"], parse(from_os_str))]
    pub command: Vec<OsString>,
}

impl Options {
    /// Whether all numbers are in range, and the exports have what they show.
    pub(super) fn check(&self) -> Result<(), UsageError> {
        in_range("-n", self.runs, 1..=MAX_RUNS)?;
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

/// What is wrong with a command line that could be parsed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A number out of range.
    #[error(transparent)]
    Range(#[from] OutOfRange),
    /// A line that is empty, or a quote without its end.
    #[error("{option} `{line}` is no command line: it is empty, or a quote in it has no end")]
    Line {
        /// Which gave it.
        option: &'static str,
        /// The line.
        line: String,
    },
    /// A line that must be split or filled in and is no UTF-8.
    #[error("`{0}` is not UTF-8: give it word by word after --, without --shell and -L")]
    NoText(String),
    /// Not as many as there are commands.
    #[error(
        "{given} times {option} for {commands} command(s): give it once for each, or once for all"
    )]
    PerCommand {
        /// Which is given once for each.
        option: &'static str,
        /// How often it was.
        given: usize,
        /// How many commands there are, before parameters are filled in.
        commands: usize,
    },
    /// Of `-L`: a name that cannot stand in braces.
    #[error("-L `{0}` is not a name: letters, digits, `_`, `-` and `.`")]
    ParameterName(String),
    /// Of `-L`: twice the same name.
    #[error("-L `{0}` is given twice: put all of its values into one list")]
    ParameterTwice(String),
    /// Of `-L`: nothing to fill in.
    #[error("-L `{0}` has no values: separate them by commas, as in `-L {0} 1,2,3`")]
    NoValues(String),
    /// More than anyone means.
    #[error(
        "{0} commands with all combinations of parameters, at most {1} are measured in one run"
    )]
    TooManyCommands(usize, usize),
    /// An export without the pass that it shows.
    #[error("{0} shows wall times: have the pass `wall` among --passes")]
    NoWallTime(&'static str),
    /// Two files for one standard output.
    #[error("{0} and {1} would both write to standard output: give one of them a file")]
    TwiceStdout(&'static str, &'static str),
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

/// What is wrong with an argument.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    /// Of `--passes`.
    #[error("{}", ids::unknown("pass", .0, &Pass::ALL.map(|pass| pass.name().to_owned())))]
    NoPass(String),
    /// Of an option that takes a number.
    #[error("`{0}` is not a whole number in range")]
    NoNumber(String),
}

fn number<T: FromStr>(text: &str) -> Result<T, ArgumentError> {
    text.parse()
        .map_err(|_| ArgumentError::NoNumber(text.to_owned()))
}
