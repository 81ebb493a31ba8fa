//! Rungs `workerd` and `workerd-worker`: Cloudflare's V8 isolates, as a process of its own up to its first answer, and as a new
//! worker in a process that runs already. Both run the function's Wasm; its exit code is the answer.

mod answer;
mod http;
mod server;

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock, PoisonError};

use measure_core::base::clock::{PhaseClock, Phases};
use measure_core::base::ids::FunctionId;
use measure_core::base::programs;
use measure_core::contract::answer::Answer;
use measure_core::contract::{Description, Isolation, Probe, Reach, Scope};
use measure_core::driver_kit::cgroup::OwnScope;
use measure_core::driver_kit::stored_function::GivenTexts;
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};

use crate::runtimes::{Workdir, find};
use crate::store::Store;
use crate::thread::unprepared;
use http::Connection;
use server::{NEW, OWN, Recipe, Server, TIMEOUT};

/// Ladder id of a process.
pub const PROCESS: &str = "workerd";
/// Ladder id of a worker in a running process.
pub const WORKER: &str = "workerd-worker";

const EXECUTABLE: &str = "workerd";
const INSTALL: &str = "tools/get-engine workerd, or put another workerd on PATH";
const MAX_WORKERS: usize = 64;

/// Phases of a start.
pub mod phase {
    pub use crate::child::phase::{REAP, SPAWN};
    /// From there (of a worker: from asked for) until the function's exit code has been read.
    pub const ANSWER: &str = "answer";
}

/// What is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Process,
    Worker,
}

/// Rung `workerd` or `workerd-worker`.
#[derive(Debug)]
pub struct WorkerdRung {
    kind: Kind,
    store: Store,
    version: OnceLock<String>,
    ready: Option<Ready>,
}

/// Dropped in this order: first what runs, last what it ran in.
#[derive(Debug)]
struct Ready {
    parked: Vec<Parked>,
    /// A connection per worker, kept between starts.
    seats: Vec<Mutex<Connection>>,
    /// The process whose workers are started, if they are.
    server: Option<Mutex<Server>>,
    recipe: Recipe,
    function: String,
    null: File,
    _scope: OwnScope,
    _workdir: Workdir,
}

/// A function that waits for its standard input's end.
#[derive(Debug)]
struct Parked {
    connection: Connection,
    /// Its process, where it has one of its own.
    server: Option<Server>,
}

impl WorkerdRung {
    /// The rung `id`, [`PROCESS`] or [`WORKER`], with functions of `store`.
    #[must_use]
    pub fn new(id: &str, store: Store) -> Self {
        Self {
            kind: if id == PROCESS {
                Kind::Process
            } else {
                Kind::Worker
            },
            store,
            version: OnceLock::new(),
            ready: None,
        }
    }

    fn id(&self) -> &'static str {
        match self.kind {
            Kind::Process => PROCESS,
            Kind::Worker => WORKER,
        }
    }

    fn recipe(dir: &Path, wasm: &Path, given: &GivenTexts) -> Result<Recipe, DriverError> {
        let executable = find(EXECUTABLE).ok_or_else(|| DriverError::Unavailable {
            why: format!("`{EXECUTABLE}` is not installed"),
            mend: INSTALL.into(),
        })?;
        let config = server::write_files(dir, wasm, given)
            .map_err(|e| DriverError::failed("cannot write what workerd is to serve", e))?;
        Ok(Recipe {
            executable,
            config,
            names: AtomicU64::new(0),
        })
    }

    fn trial(&self) -> Result<(), DriverError> {
        let function =
            FunctionId::new("demo", "noop").map_err(|e| DriverError::Usage(e.to_string()))?;
        let mut tried = Self::new(self.id(), self.store.clone());
        tried.prepare(&Plan {
            function,
            workers: 1,
            purpose: Purpose::Time,
        })?;
        tried.cold_start(0).map(drop)
    }
}

impl Ready {
    fn cold_process(&self) -> Result<Phases, DriverError> {
        let prepared = self.recipe.prepare()?;
        let mut clock = PhaseClock::start();
        let mut server = prepared.spawn(&self.null)?;
        clock.lap(phase::SPAWN);
        let mut connection = server.connect()?;
        let code = connection
            .ask(OWN)
            .map_err(Into::into)
            .and_then(|()| connection.exit_code(TIMEOUT, || server.is_alive()));
        clock.lap(phase::ANSWER);
        let code = match code {
            Ok(code) => code,
            Err(error) => return Err(server.failure(error)),
        };
        server.end()?;
        clock.lap(phase::REAP);
        check(&self.function, code)?;
        Ok(clock.finish())
    }

    fn cold_worker(&self, worker: usize) -> Result<Phases, DriverError> {
        let seat = self.seats.get(worker).ok_or_else(unprepared)?;
        let server = self.server.as_ref().ok_or_else(unprepared)?;
        let mut connection = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clock = PhaseClock::start();
        let alive = || lock(server).is_alive();
        let code = connection
            .ask(NEW)
            .map_err(Into::into)
            .and_then(|()| connection.exit_code(TIMEOUT, alive));
        clock.lap(phase::ANSWER);
        match code {
            Ok(code) => check(&self.function, code)?,
            Err(error) => {
                let mut server = lock(server);
                let failure = server.failure(error);
                // What was left unread would be taken for the next start's answer.
                if let Ok(fresh) = server.connect() {
                    *connection = fresh;
                }
                return Err(failure);
            }
        }
        Ok(clock.finish())
    }
}

fn lock(server: &Mutex<Server>) -> std::sync::MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(function: &str, code: i32) -> Result<(), DriverError> {
    if code == 0 {
        return Ok(());
    }
    let words = format!("{function} ended with exit code {code}");
    Err(DriverError::Exited { code, words })
}

impl Rung for WorkerdRung {
    fn describe(&self) -> Description {
        let (summary, cold, warm, memory) = match self.kind {
            Kind::Process => (
                "workerd with one worker, from spawned to its first answer, and killed",
                "a new process each time; executable, configuration and code are in the page cache",
                "nothing",
                "address space, V8 isolate",
            ),
            Kind::Worker => (
                "a new worker (V8 isolate) in a running workerd, by its worker loader, to its first answer",
                "a worker that was never there before, of code that is handed over with it; the process runs and a connection to it is open; V8 takes old workers away when it likes, outside of what is timed",
                "process, connection",
                "V8 isolate",
            ),
        };
        Description {
            rung: self.id().into(),
            summary: summary.into(),
            engine: self.version.get_or_init(version).clone(),
            cold: cold.into(),
            warm: warm.into(),
            isolation: Isolation {
                memory: memory.into(),
                network: "no outbound network is bound".into(),
                files: "no file system is bound".into(),
                syscalls: "no system calls, JavaScript and Wasm only; not hardened, say its makers"
                    .into(),
                capabilities: "none reachable".into(),
                reach: Some(Reach::Nothing),
                ..Isolation::default()
            },
            settings: vec![
                format!(
                    "`workerd serve --experimental`, killed after {} s",
                    TIMEOUT.as_secs()
                ),
                "a request over a Unix socket, whose body is the function's standard input".into(),
                "V8 compiles the function at each start (its baseline compiler first)".into(),
            ],
            max_workers: MAX_WORKERS,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        let unavailable = |why: String, mend: &str| Probe::Unavailable {
            why,
            mend: mend.to_owned(),
        };
        if find(EXECUTABLE).is_none() {
            return unavailable(format!("`{EXECUTABLE}` is not installed"), INSTALL);
        }
        match self.trial() {
            Ok(()) => Probe::Ready,
            Err(DriverError::Unavailable { why, mend }) => unavailable(why, &mend),
            Err(error) => unavailable(
                error.to_string(),
                "mend what it says, or get another: tools/get-engine workerd",
            ),
        }
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let stored = self.store.stored(&plan.function)?;
        if let Some(stored) = &stored {
            answer::require_can_give(&plan.function, stored)?;
        }
        let given = stored.map_or_else(GivenTexts::default, |stored| stored.given_inside(None));
        let wasm = self.store.wasm(&plan.function)?;
        let workdir = Workdir::make(self.id())?;
        let recipe = Self::recipe(workdir.state(), &wasm, &given)?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(|e| DriverError::failed("/dev/null", e))?;
        let scope = crate::scope::enter();
        let said = scope.scope("this process and the workerd processes that it starts");
        let (mut server, mut seats) = (None, Vec::new());
        if self.kind == Kind::Worker {
            let mut started = recipe.prepare()?.spawn(&null)?;
            // It runs from here on; its own worker has answered once.
            let mut first = started.connect()?;
            let answered = first
                .ask(OWN)
                .map_err(Into::into)
                .and_then(|()| first.exit_code(TIMEOUT, || started.is_alive()));
            if let Err(error) = answered {
                return Err(started.failure(error));
            }
            if plan.purpose == Purpose::Time {
                for _ in 0..plan.workers {
                    seats.push(Mutex::new(started.connect()?));
                }
            }
            server = Some(Mutex::new(started));
        }
        self.ready = Some(Ready {
            parked: Vec::new(),
            seats,
            server,
            recipe,
            function: plan.function.to_string(),
            null,
            _scope: scope,
            _workdir: workdir,
        });
        Ok(said)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        match self.kind {
            Kind::Process => ready.cold_process(),
            Kind::Worker => ready.cold_worker(worker),
        }
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let kind = self.kind;
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        for _ in 0..count {
            let parked = ready.park_one(kind)?;
            ready.parked.push(parked);
        }
        Ok(())
    }

    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        self.answer_once(function)
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let mut outcome = Ok(());
        for parked in ready.parked.drain(..) {
            outcome = outcome.and(parked.release(&ready.function, ready.server.as_ref()));
        }
        outcome
    }
}

impl Ready {
    /// One more function that waits inside its `main`.
    fn park_one(&self, kind: Kind) -> Result<Parked, DriverError> {
        let mut own = match kind {
            Kind::Process => Some(self.recipe.prepare()?.spawn(&self.null)?),
            Kind::Worker => None,
        };
        let mut shared = self.server.as_ref().map(lock);
        let server = own
            .as_mut()
            .or(shared.as_deref_mut())
            .ok_or_else(unprepared)?;
        let path = if kind == Kind::Process { OWN } else { NEW };
        let mut connection = server.connect()?;
        let inside = connection
            .ask_with_input(path)
            .map_err(Into::into)
            .and_then(|()| connection.inside(TIMEOUT, || server.is_alive()));
        if let Err(error) = inside {
            return Err(server.failure(error));
        }
        drop(shared);
        Ok(Parked {
            connection,
            server: own,
        })
    }
}

impl Parked {
    /// Ends its input and waits for its end.
    fn release(
        mut self,
        function: &str,
        shared: Option<&Mutex<Server>>,
    ) -> Result<(), DriverError> {
        let mut shared = shared.map(lock);
        let server = self
            .server
            .as_mut()
            .or(shared.as_deref_mut())
            .ok_or_else(unprepared)?;
        let code = self
            .connection
            .end_input()
            .map_err(Into::into)
            .and_then(|()| self.connection.exit_code(TIMEOUT, || server.is_alive()));
        let code = code.map_err(|error| server.failure(error))?;
        drop(shared);
        if let Some(server) = self.server {
            server.end()?;
        }
        check(function, code)
    }
}

/// What `workerd --version` says.
fn version() -> String {
    let Some(program) = find(EXECUTABLE) else {
        return format!("{EXECUTABLE} (not installed)");
    };
    programs::version_of(&program.to_string_lossy())
        .unwrap_or_else(|why| format!("{EXECUTABLE} of unknown version ({why})"))
}
