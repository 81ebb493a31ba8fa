//! Trying cases, one after the other, in a process that may die of one.

use std::any::Any;
use std::io::{self, ErrorKind, Write};
use std::panic::{self, AssertUnwindSafe};

use measure_core::base::exit::Exit;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::error::FuzzError;
use crate::lines::Line;
use crate::options::Options;
use crate::target::{Counts, Finding, Name, Setting, Target, count};

/// More memory than any case should take; what takes more is ended by it.
const DATA_BYTES: u64 = 3 << 30;
/// A file that a case writes.
const FILE_BYTES: u64 = 64 << 20;

/// Tries the cases that `options` names.
///
/// # Errors
/// The target is not to be had, or nobody listens.
pub fn run(options: &Options) -> Result<Exit, FuzzError> {
    confine();
    let mut target = open(options.target, &options.setting())?;
    let mut counts = Counts::new();
    let first = options.first();
    for seed in first..first.saturating_add(options.count()) {
        tell(&Line::Begins(seed))?;
        count(&mut counts, "cases", 1);
        if let Err(found) = attempt(target.as_mut(), seed, &mut counts) {
            count(&mut counts, "findings", 1);
            tell(&Line::Found(found))?;
        }
    }
    tell(&Line::Counts(counts))?;
    Ok(Exit::Ok)
}

/// Makes the target of this name; an error if something it needs is not to be had here.
fn open(name: Name, setting: &Setting) -> Result<Box<dyn Target>, FuzzError> {
    match name {
        Name::Modules => Ok(Box::new(crate::modules::Modules::new(setting)?)),
        Name::Calls => Ok(Box::new(crate::calls::Calls::new(setting)?)),
        Name::Files => Ok(Box::new(crate::files::Files::new(setting)?)),
        Name::Requests => Ok(Box::new(crate::requests::Requests::new(setting)?)),
        Name::Broken => Ok(Box::new(crate::broken::Broken)),
    }
}

/// Ends with whoever started it, and before the host is out of memory. What cannot be had is done without.
fn confine() {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = setrlimit(Resource::RLIMIT_DATA, DATA_BYTES, DATA_BYTES);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES);
    // A file that is too long is an error of its writer then.
    // SAFETY: no handler is installed.
    let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
}

fn attempt(target: &mut dyn Target, seed: u64, counts: &mut Counts) -> Result<(), Finding> {
    panic::catch_unwind(AssertUnwindSafe(|| target.try_case(seed, counts)))
        .unwrap_or_else(|panic| Err(format!("panicked: {}", words(&*panic))))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

fn tell(line: &Line) -> Result<(), FuzzError> {
    let mut text = serde_json::to_vec(line).map_err(|e| FuzzError::Output(e.into()))?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(FuzzError::Output(error)),
        _ => Ok(()),
    }
}
