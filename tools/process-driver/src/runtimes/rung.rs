//! The rung of one entry.

mod values;

use std::env;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use measure_core::base::clock::Phases;
use measure_core::base::ids::FunctionId;
use measure_core::base::interrupt;
use measure_core::base::label;
use measure_core::contract::answer::Answer;
use measure_core::contract::{Description, Probe, Scope};
use measure_core::driver_kit::handler::{Talk, answer_of_handler};
use measure_core::driver_kit::stored_function::answer_of_run;
use measure_core::driver_kit::{DriverError, Plan, Purpose, Rung};
use nix::unistd::getpid;
use procfs::process::all_processes;

use super::aside;
use super::daemon::Daemon;
use super::entry::Entry;
use super::error::{AsideError, DaemonError};
use super::error_text::ErrorText;
use super::groups::Groups;
use super::own_mounts::OwnMounts;
use super::parked::Parked;
use super::start::{Starter, Values};
use super::template::Placeholder;
use super::workdir::{START_VARIABLE, Workdir};
use super::{probe, tree};
use crate::answer;
use crate::store::Store;
use crate::thread::unprepared;

/// How long a set-up command may take.
const SETUP_LIMIT: Duration = Duration::from_secs(120);
/// How long what the starts have left behind may still tidy up after itself.
const GRACE: Duration = Duration::from_secs(2);
/// In the name by which a daemon and what it starts are known.
const DAEMON: &str = "daemon";

/// Rung of a command-line runtime.
#[derive(Debug)]
pub struct RuntimeRung {
    entry: Entry,
    store: Store,
    version: OnceLock<String>,
    ready: Option<Ready>,
}

/// Dropped in this order: first what runs, last what it ran in.
#[derive(Debug)]
struct Ready {
    parked: Option<Parked>,
    seats: Vec<Mutex<ErrorText>>,
    starter: Arc<Starter>,
    daemon: Option<Daemon>,
    _adopted: Adopted,
    _mounts: Option<OwnMounts>,
    _made: Made,
}

impl Ready {
    /// Why a start failed: for want of the daemon, if that is gone.
    fn explained(&self, error: DriverError) -> DriverError {
        match self.daemon.as_ref().and_then(Daemon::loss) {
            Some(loss) => DriverError::EngineLost(loss),
            None => error,
        }
    }
}

/// Where everything of this driver's starts is.
#[derive(Debug)]
struct Made {
    workdir: Workdir,
    groups: Groups,
}

/// Ends what the starts have left behind.
#[derive(Debug)]
struct Adopted;

impl Drop for Adopted {
    fn drop(&mut self) {
        let patience = interrupt::received().map_or(GRACE, |_| Duration::ZERO);
        tree::end_adopted(patience);
    }
}

impl RuntimeRung {
    /// The rung of `entry` with functions of `store`; makes nothing yet.
    #[must_use]
    pub fn new(entry: Entry, store: Store) -> Self {
        Self {
            entry,
            store,
            version: OnceLock::new(),
            ready: None,
        }
    }

    fn environment(&self, dir: &Path) -> Vec<(String, String)> {
        let own = [
            ("PATH", aside::search_path().to_string_lossy().into_owned()),
            ("HOME", env::var("HOME").unwrap_or_else(|_| "/".into())),
            ("LANG", "C.UTF-8".to_owned()),
            ("TMPDIR", dir.to_string_lossy().into_owned()),
        ];
        let own = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let runtime = env::var("XDG_RUNTIME_DIR").ok();
        let mut all: Vec<(String, String)> = own
            .chain(runtime.map(|dir| ("XDG_RUNTIME_DIR".to_owned(), dir)))
            .collect();
        for (name, value) in &self.entry.environment {
            all.retain(|(known, _)| known != name);
            all.push((
                name.clone(),
                value.replace("{state}", &dir.to_string_lossy()),
            ));
        }
        all
    }

    /// What the commands are clients of, if there is something: it listens.
    fn daemon(
        &self,
        values: &Values,
        environment: &[(String, String)],
    ) -> Result<Option<Daemon>, DriverError> {
        let Some(daemon) = &self.entry.daemon else {
            return Ok(None);
        };
        let words = values.fill(&daemon.command, 0, "");
        let ready = values
            .fill(std::slice::from_ref(&daemon.ready), 0, "")
            .concat();
        // By this it is known for a dead driver's, as what it starts is.
        let name = label::name(getpid().as_raw(), DAEMON);
        let mark = (START_VARIABLE.to_owned(), name);
        let environment: Vec<_> = environment.iter().cloned().chain([mark]).collect();
        match Daemon::start(&words, Path::new(&ready), &environment) {
            Ok(daemon) => Ok(Some(daemon)),
            Err(error @ DaemonError::Command(AsideError::NotInstalled(_))) => {
                Err(DriverError::Unavailable {
                    why: error.to_string(),
                    mend: self.entry.install.clone(),
                })
            }
            Err(error) => Err(DriverError::failed(
                format!("daemon of `{}`", self.entry.id),
                error,
            )),
        }
    }

    fn starter(&self, plan: &Plan, made: &Made) -> Result<(Starter, Option<Daemon>), DriverError> {
        let dir = made.workdir.state();
        let cannot = |what: &str, e| DriverError::failed(format!("cannot write {what}"), e);
        for (name, text) in &self.entry.files {
            fs::write(dir.join(name), text).map_err(|e| cannot(name, e))?;
        }
        let values = self.values(plan, made)?;
        let environment = self.environment(dir);
        let stored = self.store.stored(&plan.function)?;
        let served = self.served(&plan.function, stored.as_ref(), &values)?;
        let stdin = match &stored {
            Some(stored) => stored.stdin()?,
            None => None,
        };
        let daemon = self.daemon(&values, &environment)?;
        for words in &self.entry.setup {
            let words = values.fill(words, 0, "");
            aside::run_aside(&words, &environment, SETUP_LIMIT).map_err(|why| {
                DriverError::Failed(format!("set-up of `{}`: {why}", self.entry.id))
            })?;
        }
        let first = self.entry.command.first().map(std::slice::from_ref);
        let first = values
            .fill(first.unwrap_or_default(), 0, "")
            .pop()
            .unwrap_or_default();
        let executable = aside::find(&first).ok_or_else(|| DriverError::Unavailable {
            why: format!("`{first}` is not installed"),
            mend: self.entry.install.clone(),
        })?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let starter = Starter {
            entry: self.entry.clone(),
            executable: absolute(&executable),
            values,
            environment,
            stdin,
            served,
            null: null.map_err(|e| DriverError::failed("/dev/null", e))?,
            names: AtomicU64::new(0),
        };
        Ok((starter, daemon))
    }

    /// Processes that the entry counts beside its own.
    fn counted(&self) -> Result<Vec<i32>, DriverError> {
        let mut found = Vec::new();
        for name in &self.entry.counts.processes {
            let pids = processes_of(name);
            if pids.is_empty() {
                return Err(DriverError::Unavailable {
                    why: format!(
                        "no process `{name}` runs, which runtime `{}` counts",
                        self.entry.id
                    ),
                    mend: "start it, or take it out of `counts`".into(),
                });
            }
            found.extend(pids);
        }
        for file in &self.entry.counts.pid_files {
            let pid = fs::read_to_string(file)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            found.push(pid.ok_or_else(|| DriverError::Unavailable {
                why: format!(
                    "{file} holds no process id, which runtime `{}` counts",
                    self.entry.id
                ),
                mend: "start what writes it, or take it out of `counts`".into(),
            })?);
        }
        Ok(found)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn processes_of(name: &str) -> Vec<i32> {
    let all = all_processes().into_iter().flatten().flatten();
    all.filter(|process| process.exe().is_ok_and(|exe| exe.ends_with(name)))
        .map(|process| process.pid)
        .collect()
}

impl Rung for RuntimeRung {
    fn describe(&self) -> Description {
        let entry = &self.entry;
        let words: Vec<String> = entry
            .command
            .iter()
            .map(|word| word.fill(Placeholder::word))
            .collect();
        let mut settings = entry.settings.clone();
        settings.push(format!("command `{}`", words.join(" ")));
        settings.push(format!("killed after {} s", entry.timeout_s));
        Description {
            rung: entry.id.clone(),
            summary: entry.summary.clone(),
            engine: self.version.get_or_init(|| probe::version(entry)).clone(),
            cold: entry.cold.clone(),
            warm: entry.warm.clone(),
            isolation: entry.isolation.clone(),
            settings,
            max_workers: entry.max_workers,
            default_function: "demo/noop".into(),
        }
    }

    fn probe(&self) -> Probe {
        probe::probe(&self.entry, &self.store, |entry, function| {
            let mut rung = Self::new(entry, self.store.clone());
            rung.prepare(&Plan {
                function,
                workers: 1,
                purpose: Purpose::Time,
            })?;
            rung.cold_start(0).map(drop)
        })
    }

    fn prepare(&mut self, plan: &Plan) -> Result<Scope, DriverError> {
        let max = self.entry.max_workers;
        if plan.workers > max {
            return Err(DriverError::Usage(format!(
                "{} workers, runtime `{}` has at most {max} (max_workers)",
                plan.workers, self.entry.id
            )));
        }
        let counted = self.counted()?;
        let made = Made {
            workdir: Workdir::make(&self.entry.id)?,
            groups: Groups::enter(&self.entry.id),
        };
        tree::adopt_orphans();
        let mounts = OwnMounts::enter(&self.entry.hide_mounts, &self.entry.private_dirs)?;
        // If it is not to be after all, what its daemon may have started is ended too.
        let adopted = Adopted;
        let (starter, daemon) = self.starter(plan, &made)?;
        let mut scope = made.groups.scope(
            "this process and all that the commands start, what loses its parent included, as this process adopts it",
        );
        scope.roots.extend(counted);
        let seats = match plan.purpose {
            Purpose::Time => plan.workers,
            Purpose::Hold => 0,
        };
        self.ready = Some(Ready {
            parked: None,
            seats: (0..seats)
                .map(|_| ErrorText::new().map(Mutex::new))
                .collect::<Result<_, _>>()?,
            starter: Arc::new(starter),
            daemon,
            _adopted: adopted,
            _mounts: mounts,
            _made: made,
        });
        Ok(scope)
    }

    fn cold_start(&self, worker: usize) -> Result<Phases, DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        let seat = ready.seats.get(worker).ok_or_else(unprepared)?;
        let mut errors = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let started = match ready.starter.served {
            None => ready.starter.cold_start(worker, &mut errors),
            Some(_) => {
                let served = ready.starter.serve(worker, &mut errors, |_| Ok(()));
                served.map(|((), clock)| clock.finish())
            }
        };
        started.map_err(|error| ready.explained(error))
    }

    fn answer_requests(
        &self,
        worker: usize,
        count: u64,
        each: &mut dyn FnMut(Phases) -> bool,
    ) -> Result<(), DriverError> {
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        let seat = ready.seats.get(worker).ok_or_else(unprepared)?;
        let mut errors = seat.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = |talk: &mut Talk<'_>| talk.timed(count, each);
        ready.starter.serve(worker, &mut errors, asked).map(drop)
    }

    fn tidy(&self) {
        tree::reap_adopted();
    }

    fn park(&mut self, count: usize) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        let starter = Arc::clone(&ready.starter);
        ready.parked.insert(Parked::new(starter)).park(count)
    }

    fn answer(&mut self, function: &FunctionId) -> Result<Answer, DriverError> {
        let stored = self.store.stored(function)?;
        self.prepare(&Plan {
            function: function.clone(),
            workers: 1,
            purpose: Purpose::Time,
        })?;
        let ready = self.ready.as_ref().ok_or_else(unprepared)?;
        if ready.starter.served.is_some() {
            let mut errors = ErrorText::new()?;
            let asked = |talk: &mut Talk<'_>| Ok(talk.answer()?);
            let answer = ready.starter.serve(0, &mut errors, asked);
            self.ready = None;
            return answer_of_handler(answer.map(|(answer, _)| answer));
        }
        let limit = answer::limit(stored.as_ref());
        let (ended, stdout) = answer::heard(|stdout| ready.starter.run_once(stdout, limit))?;
        let answer = answer_of_run(ended, stdout, stored.as_ref());
        self.ready = None;
        answer
    }

    fn release(&mut self) -> Result<(), DriverError> {
        let ready = self.ready.as_mut().ok_or_else(unprepared)?;
        ready
            .parked
            .take()
            .map_or(Ok(()), |mut parked| parked.release())
    }
}
