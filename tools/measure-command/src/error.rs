//! Why a command could not be measured.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::ids;
use measure_core::base::range::OutOfRange;
use measure_core::contract::environment::Unfit;
use nix::errno::Errno;
use probes::memory::MemoryError;

use super::options::Pass;
use super::program::ProgramError;

/// Why a command could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line makes no sense.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The command cannot be started.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It ran and failed.
    #[error(
        "`{program}` failed in run {run} of pass {pass} ({how}): see why with --show-output, or go on all the same with --ignore-failure"
    )]
    Failed {
        program: String,
        pass: &'static str,
        /// From 1, or which warm-up.
        run: String,
        /// Exit code or signal.
        how: ExitStatus,
    },
    /// What was to be run around a command failed.
    #[error("`{line}` of {option} failed ({how}): see why with --show-output")]
    Aside {
        /// Which option gave it.
        option: &'static str,
        line: String,
        /// Exit code or signal.
        how: ExitStatus,
    },
    /// The results cannot be written.
    #[error("cannot write {}: {cause}, choose another file with {option}", path.display())]
    Output {
        /// Which option named it.
        option: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Standard output takes no more.
    #[error("cannot write to standard output: {0}")]
    Print(#[source] io::Error),
    /// Refused under `--strict`.
    #[error("this machine is not fit to measure on: {}", .0.words())]
    Unfit(#[from] Unfit),
    /// The command could not be killed on a signal to us.
    #[error("cannot catch signals: {0}")]
    Signals(#[source] io::Error),
    /// This kernel cannot tell memory at all.
    #[error("cannot weigh processes: {0}")]
    Memory(#[from] MemoryError),
    /// The kernel refuses something else that measuring needs.
    #[error("cannot {what}: {}", errno.desc())]
    Kernel {
        /// In words.
        what: &'static str,
        #[source]
        errno: Errno,
    },
}

impl HasExit for CommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Program(_) => Exit::Usage,
            Self::Failed { .. } | Self::Aside { .. } => Exit::StartFailed,
            Self::Output { .. } | Self::Print(_) => Exit::Output,
            Self::Unfit(_) => Exit::Unavailable,
            Self::Signals(_) | Self::Memory(_) | Self::Kernel { .. } => Exit::Failed,
        }
    }
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
    /// Of `-L` and `-P`: a name that cannot stand in braces.
    #[error("parameter `{0}` is not a name: letters, digits, `_`, `-` and `.`")]
    ParameterName(String),
    /// Of `-L` and `-P`: twice the same name.
    #[error("parameter `{0}` is given twice: put all of its values into one -L")]
    ParameterTwice(String),
    /// Of `-L`: nothing to fill in.
    #[error("-L `{0}` has no values: separate them by commas, as in `-L {0} 1,2,3`")]
    NoValues(String),
    /// More than anyone means.
    #[error(
        "at most {0} commands are measured in one run, with all combinations of parameters these are more"
    )]
    TooManyCommands(usize),
    /// Of `-P`: a number that is none.
    #[error("-P {name}: `{text}` is not a number such as 8 or 0.25")]
    NoDecimal {
        /// The parameter.
        name: String,
        /// What stands in a number's place.
        text: String,
    },
    /// Of `-P`: nothing to fill in.
    #[error(
        "-P {name} from {min} to {max} by {step} has no values: MAX is below MIN, or the step is not above 0"
    )]
    EmptyScan {
        /// The parameter.
        name: String,
        /// The first number.
        min: String,
        /// None beyond this.
        max: String,
        /// From one to the next.
        step: String,
    },
    /// What hyperfine has, and this tool has otherwise.
    #[error("{option} is hyperfine's; here {instead}")]
    Hyperfines {
        /// The option.
        option: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// An export without the pass that it shows.
    #[error("{0} shows wall times: have the pass `wall` among --passes")]
    NoWallTime(&'static str),
    /// Two files for one standard output.
    #[error("{0} and {1} would both write to standard output: give one of them a file")]
    TwiceStdout(&'static str, &'static str),
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
    /// Of `--ignore-failure=`.
    #[error(
        "`{0}` are no exit codes, as in --ignore-failure=1,2; every failure is ignored without them"
    )]
    NoCodes(String),
    /// Of `-n`, which is the name in hyperfine.
    #[error("`{0}` is not a number of runs; what a command is called is told by --command-name")]
    NoRuns(String),
}
