//! What a function answers when it runs once as a process, whatever it does: nothing of it is left, and none is waited for longer
//! than it says itself.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::contract::answer::{Answer, Content};
use measure_core::contract::function::FunctionFile;
use measure_core::driver_kit::collector::Collector;
use measure_core::driver_kit::spawn::Child;
use measure_core::driver_kit::stored_function::{StoredFunction, answer_of_run};
use measure_core::driver_kit::{DriverError, output_dir};

use crate::child::{cannot_wait, check_status, no_process, opened};
use crate::handler::Handlers;
use crate::runtimes::ErrorText;
use crate::store::{NativeFunction, Store};

/// The answer of `function` of `store`, natively.
pub(crate) fn of_native(store: &Store, function: &FunctionId) -> Result<Answer, DriverError> {
    if let Some(handlers) = Handlers::find(store, function, 1)? {
        return handlers.answer(&null()?);
    }
    let NativeFunction {
        program,
        stdin,
        stored,
    } = store.native_function(function, None)?;
    let mut errors = ErrorText::new()?;
    let null = null()?;
    let input = opened(stdin.as_ref())?;
    let stdin = input.as_ref().unwrap_or(&null);
    let name = function.to_string();
    let (ended, stdout) = heard(|stdout| {
        let streams = [stdin.as_fd(), stdout, errors.file()];
        let mut child = program
            .spawn(streams)
            .map_err(|e| no_process(&program, e))?;
        end_of(&mut child, limit(stored.as_ref()), &name)
    })?;
    let ended = with_last_words(ended, &mut errors);
    answer_of_run(ended, stdout, stored.as_ref())
}

/// How long a run may take: as the function says, or as all may.
pub(crate) fn limit(stored: Option<&StoredFunction>) -> Duration {
    let any = || Duration::from_secs(FunctionFile::default().timeout_s);
    stored.map_or_else(any, StoredFunction::timeout)
}

/// What `run`, which is given a descriptor to write to, wrote until its end, and how that was.
pub(crate) fn heard<T>(
    run: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> T,
) -> Result<(T, Content), DriverError> {
    let pipe = |e: io::Error| DriverError::failed("no pipe to be had", e);
    let (collector, input) = Collector::start().map_err(pipe)?;
    let ended = run(input.as_fd());
    drop(input);
    Ok((ended, collector.finish()))
}

pub(crate) fn null() -> Result<File, DriverError> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    null.map_err(|e| DriverError::failed("/dev/null", e))
}

/// How often it is looked how much a function has written.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until `child` has ended: at most `limit`, and until it has written too much into its directory.
///
/// # Errors
/// Why it is to be killed.
pub(crate) fn wait_for_answer(
    child: &Child,
    limit: Duration,
    function: &str,
) -> Result<(), DriverError> {
    let until = Instant::now() + limit;
    while interrupt::received().is_none() {
        let left = until.saturating_duration_since(Instant::now());
        let ended = child.ended(left.min(LOOK));
        if ended.map_err(cannot_wait)? {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(no_answer(function, limit));
        }
        if output_dir::used_bytes() > output_dir::LIMIT_BYTES {
            return Err(wrote_too_much(function));
        }
    }
    Err(DriverError::Failed("interrupted".into()))
}

/// Waits until `child` has ended, which is killed if it takes or writes too much.
fn end_of(child: &mut Child, limit: Duration, function: &str) -> Result<(), DriverError> {
    wait_for_answer(child, limit, function)?;
    // What it has started itself is of its group, which has its number until it is collected.
    child.kill();
    check_status(function, child.reap().map_err(cannot_wait)?)
}

/// The error of a function that did not end within `limit`.
pub(crate) fn no_answer(function: &str, limit: Duration) -> DriverError {
    DriverError::StartFailed(format!(
        "{function} did not end within {} s (timeout_s of its function.toml); killed",
        limit.as_secs()
    ))
}

/// The error of a function that filled its directory.
fn wrote_too_much(function: &str) -> DriverError {
    let limit = output_dir::LIMIT_BYTES >> 20;
    DriverError::StartFailed(format!(
        "{function} wrote more than {limit} MiB into its directory (output_at); killed"
    ))
}

/// The same end, with what the function said last if it was none to wish for.
fn with_last_words(
    ended: Result<(), DriverError>,
    errors: &mut ErrorText,
) -> Result<(), DriverError> {
    let said = errors.last_lines();
    let add = |words: String| match said.is_empty() {
        true => words,
        false => format!("{words}; it said: {said}"),
    };
    ended.map_err(|error| match error {
        DriverError::Exited { code, words } => DriverError::Exited {
            code,
            words: add(words),
        },
        DriverError::StartFailed(words) => DriverError::StartFailed(add(words)),
        other => other,
    })
}
