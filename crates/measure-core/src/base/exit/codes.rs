//! The exit codes.

/// How a tool ends. Stable: scripts may rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All that was asked for was done.
    Ok = 0,
    /// An error that has no code of its own.
    Failed = 1,
    /// The command line is wrong: unknown rung, function, flag, or a value out of range.
    Usage = 2,
    /// This host cannot do it; the message says why and how to mend it.
    Unavailable = 3,
    /// The function ran and failed: wrong exit code, trap, deadline, memory limit.
    StartFailed = 4,
    /// The output cannot be written.
    Output = 5,
    /// Another run holds what this one needs.
    Busy = 6,
    /// The engine went away in mid-run.
    EngineLost = 7,
    /// A comparison with `--fail-on` found a row slower.
    Slower = 8,
    /// Ended by SIGINT, after cleaning up.
    Interrupted = 130,
    /// Ended by SIGTERM, after cleaning up.
    Terminated = 143,
}

impl Exit {
    /// The one with the number `code`; [`Self::Failed`] if that is none of them.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        [
            Self::Ok,
            Self::Usage,
            Self::Unavailable,
            Self::StartFailed,
            Self::Output,
            Self::Busy,
            Self::EngineLost,
            Self::Slower,
            Self::Interrupted,
            Self::Terminated,
        ]
        .into_iter()
        .find(|&exit| exit as u8 == code)
        .unwrap_or(Self::Failed)
    }
}

/// The table of exit codes for `--help`.
pub const EXIT_CODES_HELP: &str = "EXIT CODES:\n    0 done   1 failed   2 wrong command line   3 unavailable on this host   4 a start or a benchmark failed\n    5 output cannot be written   6 another run is under way   7 the engine went away\n    8 a comparison with --fail-on found a row slower   130/143 interrupted";
