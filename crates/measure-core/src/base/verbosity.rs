//! How much a tool says besides its results: `--quiet`, `--verbose`, and the log that the latter turns on.
//!
//! Records are made by the macros of the crate `log`. They are written by a few lines here and not by `env_logger`, which needs
//! the feature `std` of `log`, with which the measured engine would be built otherwise than it is.

use std::env;
use std::io::{Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, Log, Metadata, Record};

/// Environment variable with a level for the log, in place of `--verbose`: error, warn, info, debug or trace.
pub const LOG_VARIABLE: &str = "FAASM_BENCH_LOG";

/// Crates of others, whose records tell how code is compiled and not what a tool does.
const OTHERS: [&str; 3] = ["cranelift", "wasmtime", "regalloc2"];

static QUIET: AtomicBool = AtomicBool::new(false);

/// What a command line says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// Results, warnings and errors alone.
    Quiet,
    /// Progress besides.
    Usual,
    /// And a log of what is started, chosen and written.
    Verbose,
}

/// Says from here on as much as `verbosity`, or [`LOG_VARIABLE`], tells.
pub fn set(verbosity: Verbosity) {
    QUIET.store(verbosity == Verbosity::Quiet, Ordering::Relaxed);
    let given = env::var(LOG_VARIABLE)
        .ok()
        .and_then(|level| level.parse().ok());
    let level = given.unwrap_or(match verbosity {
        Verbosity::Verbose => LevelFilter::Debug,
        Verbosity::Quiet | Verbosity::Usual => LevelFilter::Off,
    });
    // Only a second call finds one there: the same.
    let _ = log::set_logger(&ToStandardError);
    log::set_max_level(level);
}

/// Whether progress and notes are not to be shown.
#[must_use]
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

struct ToStandardError;

impl Log for ToStandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !OTHERS
            .iter()
            .any(|other| metadata.target().starts_with(other))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = record.level().as_str().to_ascii_lowercase();
            let (target, words) = (record.target(), record.args());
            // Nobody may read it: the tool goes on.
            let _ = writeln!(stderr(), "{level}: {target}: {words}");
        }
    }

    fn flush(&self) {}
}
