//! A run of a Wasm program in an engine process of its own: the same executable once more, with a subcommand that
//! `--help` does not show. It loads the compiled code, starts the program once and reports. Without that all runs of
//! a column would share what one process happened to draw: where its code and memory lie, what its allocator did
//! before.
//!
//! The process reads nothing of its environment: what it is to do stands in one argument. What the program writes goes
//! to standard output, the report is the last line of standard error.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::Duration;

use faaslet::thread::STACK_BYTES;
use faaslet::{
    BudgetSettings, DirGrant, EngineSettings, FaasletEngine, FaasletError, Function, Grants,
    StartError, Store,
};
use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::exit::Exit;
use measure_core::base::ids::FunctionId;
use measure_core::driver_kit::bare_thread::no_thread;
use measure_core::driver_kit::stored_function::StdinFile;
use serde::{Deserialize, Serialize};

use super::{OUTPUT_LIMIT_BYTES, phase};
use crate::column::RunError;
use crate::error::CompareError;

/// The subcommand.
pub(crate) const SUBCOMMAND: &str = "replicate";

/// Everything that the process is to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Replicate {
    pub(super) store: PathBuf,
    pub(super) user: String,
    pub(super) function: String,
    /// The second engine's code, if it is to run that.
    pub(super) library: Option<PathBuf>,
    pub(super) memory_limit_bytes: u64,
    pub(super) timeout: Duration,
    pub(super) profiling: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// On the host, in the guest, writable.
    pub(super) dirs: Vec<(PathBuf, String, bool)>,
    /// What it reads from its standard input; nothing is an empty file.
    pub(super) stdin: Option<PathBuf>,
    /// Whether standard error is what is wanted of it.
    pub(super) stderr: bool,
}

/// How the start went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Report {
    /// Name and nanoseconds of each phase.
    Phases(Vec<(String, u64)>),
    Timeout(Duration),
    Interrupted,
    Failed(String),
}

/// The phases of a start, in order.
const PHASES: [&str; 6] = [
    phase::THREAD,
    faaslet::function::phase::WASI,
    faaslet::function::phase::INSTANCE,
    faaslet::function::phase::RUN,
    faaslet::function::phase::DROP,
    phase::JOIN,
];

/// Does what `text`, a [`Replicate`], says: all that the process is there for.
///
/// # Errors
/// It is none: nothing but this crate is to call it.
pub(crate) fn run(text: &str) -> Result<Exit, CompareError> {
    let replicate: Replicate = serde_json::from_str(text).map_err(|e| {
        CompareError::Usage(format!("`{SUBCOMMAND}` is for the tool's own use: {e}"))
    })?;
    let report = match load(&replicate) {
        Ok(function) => start(&function),
        Err(error) => Report::Failed(error.to_string()),
    };
    // A report without a reader has no use.
    eprintln!("{}", serde_json::to_string(&report).unwrap_or_default());
    Ok(Exit::Ok)
}

fn load(replicate: &Replicate) -> Result<Function, FaasletError> {
    let refused = |cause: String| FaasletError::Refused {
        what: replicate.function.clone(),
        cause,
    };
    let id = FunctionId::new(&replicate.user, &replicate.function)
        .map_err(|e| refused(e.to_string()))?;
    let engine = FaasletEngine::new(EngineSettings {
        instances: 1,
        memory_limit_bytes: replicate.memory_limit_bytes,
        deadline: replicate.timeout,
        profiling: replicate
            .profiling
            .parse()
            .map_err(|e: faaslet::settings::UnknownProfiling| refused(e.to_string()))?,
        budget: BudgetSettings {
            disk_limit_bytes: OUTPUT_LIMIT_BYTES.into(),
            ..BudgetSettings::default()
        },
        ..EngineSettings::default()
    })?;
    let stdout = Arc::new(
        io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| refused(e.to_string()))?,
    );
    let dir = |(host, guest, writable): &(PathBuf, String, bool)| DirGrant {
        host: host.clone(),
        guest: guest.clone(),
        writable: *writable,
    };
    let stdin = replicate.stdin.as_deref().map(StdinFile::open_trusted);
    let stdin_file = stdin.transpose()?.map(Arc::new);
    let grants = Grants {
        stdin_file,
        args: replicate.args.clone(),
        env: replicate.env.clone(),
        dirs: replicate.dirs.iter().map(dir).collect(),
        stdout: (!replicate.stderr).then(|| stdout.clone()),
        stderr: replicate.stderr.then_some(stdout),
        ..Grants::default()
    };
    let store = Store::at(&replicate.store);
    match &replicate.library {
        None => {
            let module = store.load(&engine, &id)?;
            Function::new(&engine, &id.to_string(), &module, grants)
        }
        Some(library) => {
            let wasm = store.wasm(&id)?;
            Function::from_library(&engine, &id.to_string(), &wasm, library, grants)
        }
    }
}

/// One start on a thread of its own, as the rung `faaslet` makes it.
fn start(function: &Function) -> Report {
    let mut clock = PhaseClock::start();
    let started = thread::scope(|scope| {
        let thread = Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, || {
            clock.lap(phase::THREAD);
            function.start(&mut clock)
        });
        thread.map(|thread| thread.join())
    });
    clock.lap(phase::JOIN);
    match started {
        Err(error) => Report::Failed(no_thread(&error)),
        Ok(Err(_)) => Report::Failed("its thread panicked".to_owned()),
        Ok(Ok(Err(StartError::Deadline(limit)))) => Report::Timeout(limit),
        Ok(Ok(Err(StartError::Interrupted))) => Report::Interrupted,
        Ok(Ok(Err(other))) => Report::Failed(other.to_string()),
        Ok(Ok(Ok(()))) => {
            let phases = clock.finish().phases.into_iter();
            Report::Phases(phases.map(|(name, ns)| (name.to_owned(), ns)).collect())
        }
    }
}

/// What the process reported on standard error, of which `start_ns` is when it was asked for.
///
/// # Errors
/// The start failed, or the last line is no report.
pub(super) fn parse(stderr: &[u8], start_ns: u64) -> Result<Phases, RunError> {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().next_back().unwrap_or_default();
    let report = serde_json::from_str(line).map_err(|_| {
        let said = measure_core::base::words::one_line(line, 100);
        RunError::Failed(format!("its engine's process reported nothing: `{said}`"))
    })?;
    match report {
        Report::Timeout(limit) => Err(RunError::Timeout(limit)),
        Report::Interrupted => Err(RunError::Interrupted),
        Report::Failed(why) => Err(RunError::Failed(why)),
        Report::Phases(found) => {
            let known = |(name, ns): (String, u64)| {
                let name = PHASES.into_iter().find(|known| *known == name)?;
                Some((name, ns))
            };
            let phases: Vec<_> = found.into_iter().filter_map(known).collect();
            Ok(Phases {
                start_ns,
                total_ns: phases.iter().map(|(_, ns)| ns).sum(),
                phases,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_the_last_line_and_anything_else_is_told() {
        let said = b"warning: x\n{\"phases\":[[\"thread\",5],[\"run\",7]]}\n";
        let phases = parse(said, 3).expect("phases");
        assert_eq!(phases.phases, [("thread", 5), ("run", 7)]);
        assert_eq!((phases.start_ns, phases.total_ns), (3, 12));
        let failed = parse(b"{\"failed\":\"trap: x\"}", 0).expect_err("failed");
        assert!(matches!(&failed, RunError::Failed(why) if why == "trap: x"));
        for said in [&b""[..], b"no report\n", b"{\"phases\":3}", b"\xff\n"] {
            let error = parse(said, 0).expect_err("no report").to_string();
            assert!(error.contains("reported nothing"), "{error}");
        }
        let error = run("{}").expect_err("no replicate").to_string();
        assert!(error.contains("own use"), "{error}");
    }
}
