//! What can go wrong before a function runs ([`FaasletError`]) and while it does ([`StartError`]).

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use granted_network::NetworkError;
use measure_core::base::lock::LockError;
use measure_core::base::trust::TrustError;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::bare_thread::no_thread;
use second_engine::SecondEngineError;

use crate::budget::OverBudget;
use crate::netns::{HubError, NetnsError};

/// Why a function cannot be had, installed or prepared.
#[derive(Debug, thiserror::Error)]
pub enum FaasletError {
    /// Not in the store; the text lists what is and suggests the nearest.
    #[error("{0}")]
    UnknownFunction(String),
    /// A file or directory of the store cannot be used.
    #[error("{}: {attempt}{source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done to it, in words that end in a colon and a space, or empty.
        attempt: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Others could have written the code, or it cannot be reached.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Another changes what lies there, or others could keep us from it for ever.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What is said of what it is given.
    #[error(transparent)]
    Stored(#[from] DriverError),
    /// Not a module that can run here.
    #[error("{what} is refused: {cause}")]
    Refused {
        /// The function or file.
        what: String,
        /// What it has, lacks or exceeds.
        cause: String,
    },
    /// Its user has as much as one may have.
    #[error("{what} is not installed: {cause}")]
    NoRoom {
        /// The function.
        what: String,
        /// What there would be of too much.
        cause: String,
    },
    /// Nobody wants its code any more.
    #[error("compiling {what} was given up")]
    GivenUp {
        /// The function or file.
        what: String,
    },
    /// The process that was to compile it.
    #[error("cannot compile {what}: {source}")]
    Compiler {
        /// The function or file.
        what: String,
        /// What of that process is not to be had.
        source: confine::ConfineError,
    },
    /// The second engine does not make code of it.
    #[error("{what} cannot be compiled by way of C: {source}")]
    SecondEngine {
        /// The function.
        what: String,
        /// What of it that engine does not do, or what a tool of its said.
        source: SecondEngineError,
    },
    /// Making the second engine's code of it takes too long to be done by the way.
    #[error("{0} has not been compiled by way of C")]
    NotCompiled(String),
    /// A snapshot of it cannot be taken.
    #[error("cannot take a snapshot of {what}: {cause}")]
    Snapshot {
        /// The function.
        what: String,
        /// What of it cannot be in a snapshot, or how its initialiser failed.
        cause: String,
    },
    /// A component has no snapshots.
    #[error(
        "cannot take a snapshot of {0}: it is a component, whose state is more than one module's"
    )]
    SnapshotOfComponent(String),
    /// The engine cannot be set up.
    #[error("cannot set up the engine: {cause}{hint}")]
    Engine {
        /// What it said.
        cause: String,
        /// What to do about it, or empty.
        hint: &'static str,
    },
    /// Nothing can keep its deadlines.
    #[error("cannot set up the engine: {0}")]
    Watcher(#[from] WatcherError),
    /// No CPU cgroups for its seats.
    #[error("no CPU cgroup to be had ({0}), {CGROUP_MEND}")]
    Cgroup(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What it was granted of the network cannot be had.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No network namespaces for them.
    #[error("no network namespaces to be had, {0}")]
    Netns(#[from] NetnsError),
}

/// What to do where there is no CPU cgroup to be had.
pub const CGROUP_MEND: &str = "run as root on a host whose cpu controller is mounted and delegated";

impl From<HubError> for FaasletError {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Network(error) => error.into(),
            HubError::Netns(error) => error.into(),
        }
    }
}

impl FaasletError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::io_at("", path, source)
    }

    /// As [`io`](Self::io), of an `attempt` such as `"cannot lock it: "`.
    pub(crate) fn io_at(
        attempt: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io {
            path: path.into(),
            attempt,
            source: source.into(),
        }
    }

    pub(crate) fn cgroup(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Cgroup(cause.into())
    }

    pub(crate) fn refused(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Refused {
            what: what.to_string(),
            cause: cause.to_string(),
        }
    }

    pub(crate) fn snapshot(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self::Snapshot {
            what: what.to_string(),
            cause: cause.to_string(),
        }
    }
}

/// Why an engine has no watcher of deadlines.
#[derive(Debug, thiserror::Error)]
pub enum WatcherError {
    /// The engine does not compile the module that traps; what it said.
    #[error("{0}")]
    Compile(String),
    /// No trapping instruction is found in that module's code.
    #[error("the engine's code for a trap is not what it was")]
    Trap,
    /// The signal cannot be handled.
    #[error("no handler for SIGURG: {0}")]
    Handler(#[source] io::Error),
    /// No thread is to be had.
    #[error("{0}")]
    Thread(#[source] io::Error),
}

/// Why a start did not end with exit code 0.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It returned or exited with another code.
    #[error("exit code {code}{}", suffix(.note))]
    ExitCode {
        /// The code.
        code: i32,
        /// A limit it met, or what it said on standard error.
        note: String,
    },
    /// It did what Wasm forbids.
    #[error("trap: {cause}{}", suffix(.note))]
    Trap {
        /// The trap, and the functions it came from.
        cause: String,
        /// A limit it met, or what it said on standard error.
        note: String,
    },
    /// It is a handler, and did not answer, or otherwise than it should.
    #[error("{cause}{}", suffix(.note))]
    Answer {
        /// What it did.
        cause: String,
        /// A limit it met, or what it said on standard error.
        note: String,
    },
    /// It computed for too long.
    #[error(
        "still running after the deadline of {0:?}; raise it with --deadline if it needs longer"
    )]
    Deadline(Duration),
    /// A signal asked the whole program to end.
    #[error("stopped because the run was interrupted")]
    Interrupted,
    /// The instance, thread, cgroup or namespace could not be had. Boxed: a start that goes well has no room for it on its stack.
    #[error("cannot start: {0}")]
    Setup(#[source] Box<SetupError>),
}

impl From<SetupError> for StartError {
    fn from(error: SetupError) -> Self {
        Self::Setup(Box::new(error))
    }
}

/// What of a start could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No thread.
    #[error("{}", no_thread(.0))]
    Thread(#[source] io::Error),
    /// Its thread did not come to its end; what it said.
    #[error("its thread panicked: {0}")]
    Panicked(String),
    /// Another start is in this seat.
    #[error("seat {0} is taken: two starts of one worker at once")]
    SeatTaken(usize),
    /// No stack to handle the engine's signals on.
    #[error("no signal stack: {0}")]
    SignalStack(#[source] nix::errno::Errno),
    /// Only a start on a thread of its own makes this seat.
    #[error("seat {0} is made by each start for itself")]
    NoSeat(usize),
    /// No CPU cgroup of its own.
    #[error("cannot make a CPU cgroup: {0}")]
    NewCgroup(#[source] io::Error),
    /// Its CPU cgroup stays.
    #[error("cannot remove its CPU cgroup: {0}")]
    CgroupLeft(#[source] io::Error),
    /// The kernel does not let it into its CPU cgroup.
    #[error("cannot join the CPU cgroup: {0}")]
    Cgroup(#[source] io::Error),
    /// No network namespace, or it cannot be entered or removed.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// It does not fit beside the others.
    #[error("{0}")]
    Budget(#[from] OverBudget),
    /// A directory that it was given cannot be opened.
    #[error("{0}")]
    Files(#[source] io::Error),
    /// What it is to read from its standard input cannot be opened.
    #[error("cannot open its standard input: {0}")]
    Stdin(#[source] io::Error),
    /// No instance; what the engine said.
    #[error("{0}")]
    Instance(String),
    /// It came to its end before it was started.
    #[error("it exited before it was started")]
    Exited,
    /// It was to be parked.
    #[error(
        "the function ended instead of blocking on its standard input; park one that reads that, as demo/park does"
    )]
    NotBlocked,
}

fn suffix(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!(" ({note})")
    }
}

/// How a program ends by itself: `proc_exit` unwinds it with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("exit code {0}")]
pub(crate) struct ProcExit(pub(crate) i32);

/// Why a call does not return to its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the deadline passed in a call to the host")]
    Deadline,
    #[error("interrupted")]
    Interrupted,
}
