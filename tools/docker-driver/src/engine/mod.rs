//! A docker engine of the driver's own: own socket, data root, namespaces and cgroups, started by the
//! run and ended with it, so that "all of docker" is one scope and nothing of the host's is touched.

pub mod cgroups;
mod child;
pub mod init;
mod logs;
pub mod programs;
pub mod slot;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::base::label;
use measure_core::contract::Scope;
use measure_core::driver_kit::DriverError;
use serde_json::{Map, Value};

use crate::api::Client;
use child::InitChild;
use init::{InitConfig, InitError, Step};
use slot::Slot;

/// How long the daemon may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to end in good order.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long after a lost connection the engine's end may still come to be known.
const LOSS_LIMIT: Duration = Duration::from_secs(2);
/// How often a starting engine's socket is tried.
const POLL: Duration = Duration::from_millis(1);

/// Where the engine's network is, and whether docker's bridge with its rules is in it: a quarter of a second of its
/// start, of which containers without a network or with that of the engine see nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// A namespace of its own with the bridge.
    Bridged,
    /// A namespace of its own, no bridge, no rules.
    Bare,
    /// The host's, untouched (no bridge, no rules), so that a registry can be reached.
    #[default]
    Host,
}

/// What sets an engine apart from docker's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// The daemon's configuration.
    pub config: Map<String, Value>,
    /// Mount points that no part of it sees.
    pub hide_mounts: Vec<PathBuf>,
    /// Its network.
    pub network: Network,
    /// The slot that it is to have if that is free.
    pub slot: u32,
}

/// A running engine. Dropping it ends the engine and removes what was made for it.
#[derive(Debug)]
pub struct Engine {
    child: InitChild,
    slot: Slot,
    cgroup: String,
    scope: BTreeMap<String, PathBuf>,
    /// Whether containers may be left in it, so that its data is not kept.
    unclean: AtomicBool,
}

impl Engine {
    /// Starts an engine in a free slot and waits until it answers.
    ///
    /// # Errors
    /// The host refuses, the daemon does not come up (its last log lines are in the message), or a
    /// signal came.
    pub fn start(setup: &Setup) -> Result<Self, DriverError> {
        let slot = Slot::take(setup.slot)?;
        let what = format!("engine-{}", slot.number());
        let cgroup = label::name(process::id().cast_signed(), &what);
        slot.note_use(&cgroup)?;
        // Of an earlier engine of this very process, if its end failed.
        cgroups::remove(&cgroup)?;
        let groups = cgroups::create(&cgroup)?;
        let started = fs::write(slot.config(), Value::from(setup.config.clone()).to_string())
            .and_then(|()| File::create(slot.log()))
            .step("write its files")
            .and_then(|log| {
                let config = InitConfig {
                    cgroups: groups.daemon.clone(),
                    own_network: setup.network != Network::Host,
                    hide_mounts: setup.hide_mounts.clone(),
                    shared_dir: slot.shared().to_path_buf(),
                    command: command(&slot, &groups.parent(), setup.network),
                };
                InitChild::start(&config, &log)
            });
        let child = started.map_err(|error| {
            let _ = slot.remove_left_over();
            DriverError::failed("cannot start the engine", error)
        })?;
        let engine = Self {
            child,
            slot,
            cgroup,
            scope: groups.scope,
            unclean: AtomicBool::new(false),
        };
        engine.wait_until_up()?;
        Ok(engine)
    }

    fn wait_until_up(&self) -> Result<(), DriverError> {
        let deadline = Instant::now() + START_LIMIT;
        let socket = self.slot.socket();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            self.check_starting(deadline)?;
            thread::sleep(POLL);
        }
        // The socket is there before the daemon is: the first answer is what counts.
        let client = Client::connect(&self.host(), START_LIMIT);
        match client {
            Ok(_) => not_interrupted("the engine started"),
            Err(error) => {
                self.check_starting(deadline)?;
                let why = self.loss_in_words(&error.to_string());
                Err(did_not_come_up(&why))
            }
        }
    }

    fn check_starting(&self, deadline: Instant) -> Result<(), DriverError> {
        not_interrupted("the engine started")?;
        if self.child.ended().is_some() {
            return Err(did_not_come_up(&self.loss_in_words("it ended")));
        }
        if Instant::now() > deadline {
            let why = format!("no answer within {} s", START_LIMIT.as_secs());
            return Err(did_not_come_up(&self.loss_in_words(&why)));
        }
        Ok(())
    }

    /// Its first process, which has its network.
    #[must_use]
    pub fn init_pid(&self) -> i32 {
        self.child.pid()
    }

    /// Its API address.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.slot.socket().display())
    }

    /// Whose work is docker's: the engine from its init down, and the groups that hold all of it.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            roots: vec![self.child.pid()],
            cgroups: self.scope.clone(),
            client: Some(process::id().cast_signed()),
            includes: format!(
                "a private docker engine at {}: its init, dockerd, containerd, every shim, runc and container; \
                 the driver is the API client, apart",
                self.host()
            ),
            ..Scope::default()
        }
    }

    /// The groups of the containers, one below it for each, in the hierarchy of `controller`.
    #[must_use]
    pub fn container_groups(&self, controller: &str) -> Option<PathBuf> {
        self.scope.get(controller).map(|dir| dir.join("containers"))
    }

    /// The error for a request that failed with `cause` on the way: what became of the engine.
    #[must_use]
    pub fn lost(&self, cause: &str) -> DriverError {
        DriverError::EngineLost(self.loss_in_words(cause))
    }

    fn loss_in_words(&self, cause: &str) -> String {
        // The connection breaks a moment before the end of the engine is known.
        self.child.wait(LOSS_LIMIT, true);
        let mut text = match self.child.ended() {
            Some(status) => format!("the daemon ended ({})", logs::in_words(status)),
            None => cause.to_owned(),
        };
        let lines = logs::tail(&self.slot.log());
        if !lines.is_empty() {
            text.push_str("; its log ends: ");
            text.push_str(&lines.join(" | "));
        }
        text
    }

    /// Has the daemon put its state away, which takes it some milliseconds when no container is left.
    fn put_away(&mut self) -> bool {
        if self.child.ended().is_some() {
            return false;
        }
        self.child.ask_to_stop();
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if logs::is_shut_down(&self.slot.log()) {
                return true;
            }
            if self.child.wait(POLL, false) {
                return self.child.ended().is_some_and(|status| status.success());
            }
        }
        false
    }

    /// Says that containers may be left, so that its end is quick and its data is not kept.
    pub fn mark_unclean(&self) {
        self.unclean.store(true, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let clean = !*self.unclean.get_mut() && self.put_away();
        self.child.kill();
        let removed = if clean {
            let _ = fs::remove_file(self.slot.socket());
            cgroups::remove(&self.cgroup).map(|_| self.slot.note_clean())
        } else {
            self.slot.remove_left_over().map(drop)
        };
        if let Err(error) = removed {
            // The mark stays, so the next run or `clean` tries again.
            eprintln!("warning: {error}");
        }
    }
}

/// Stops between two steps of a preparation if a signal has come while `what`.
///
/// # Errors
/// One has.
pub fn not_interrupted(what: &str) -> Result<(), DriverError> {
    match interrupt::received() {
        Some(_) => Err(DriverError::Failed(format!("interrupted while {what}"))),
        None => Ok(()),
    }
}

fn did_not_come_up(why: &str) -> DriverError {
    DriverError::Unavailable {
        why: format!("the docker engine did not come up: {why}"),
        mend: "mend what its log says, or use a running engine with --docker-host".into(),
    }
}

fn command(slot: &Slot, cgroup_parent: &str, network: Network) -> Vec<String> {
    let mut command: Vec<String> = vec![
        "dockerd".into(),
        format!("--config-file={}", slot.config().display()),
        format!("--data-root={}", slot.data().display()),
        // Private to the engine's mount namespace, gone with it.
        "--exec-root=/run/docker".into(),
        "--pidfile=/run/docker.pid".into(),
        format!("--host=unix://{}", slot.socket().display()),
        "--exec-opt=native.cgroupdriver=cgroupfs".into(),
        format!("--cgroup-parent={cgroup_parent}"),
    ];
    if network != Network::Bridged {
        for flag in [
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            "--ip-masq=false",
        ] {
            command.push(flag.into());
        }
    }
    command
}

/// The engine's namespaces alone, for a probe.
#[derive(Debug)]
pub struct Trial(InitChild);

impl Trial {
    /// Makes them; what goes wrong is written to `log`.
    ///
    /// # Errors
    /// The kernel refuses the process id namespace.
    pub(crate) fn start(log: &File) -> Result<Self, InitError> {
        let config = InitConfig {
            own_network: true,
            ..InitConfig::default()
        };
        InitChild::start(&config, log).map(Self)
    }

    /// Whether they could be made; `None` if that is not known within `limit`.
    #[must_use]
    pub fn outcome(&self, limit: Duration) -> Option<bool> {
        self.0.wait(limit, true);
        self.0.ended().map(|status| status.success())
    }
}
