//! What probes aim at, planted on the host in a throw-away place, and what the host sees of their attempts.

use std::fs::{self, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use measure_core::base::tree::remove_tree;
use measure_core::base::{home, label, trust};
use tempfile::TempDir;

use crate::catalogue::{Evidence, PROBES, Probe, Says};
use crate::cell::{Ended, Seen};
use crate::error::IsolationError;
use crate::facts::{HostFacts, digest};
use crate::home::{Home, built};
use crate::host_starts::HostStarts;
use crate::interference::{BURST_MS, Noise};
use crate::listener::Listener;
use crate::outcome::Outcome;
use crate::victim::Victim;

/// What [`PROBES`] that take as much as they get stop at: enough to tell whether there is a limit, too little to harm a host.
const FILL_BYTES: u64 = 64 << 20;
const ALLOCATE_BYTES: u64 = 512 << 20;
const LEFTOVER_BYTES: u64 = 16 << 20;
const FORKED_PROCESSES: u32 = 200;
/// A signal that was sent arrives within this, on the busiest host.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// The file in the planted directory that no probe is to make.
const MADE: &str = "made";

/// What probes aim at; all of it goes when this is dropped.
#[derive(Debug)]
pub struct Plant {
    directory: TempDir,
    /// What the victim runs; without its argument it ends at once.
    program: PathBuf,
    token: String,
    file_digest: u64,
    facts: HostFacts,
    victim: Victim,
    listener: Listener,
    /// Free on the host when this was planted: neighbours look for one another there.
    neighbours_port: u16,
    pattern: String,
}

fn free_port() -> io::Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(socket.local_addr()?.port())
}

fn random_word() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Removes what killed runs left; what lives is left alone.
pub fn remove_orphans() {
    for entry in fs::read_dir(home::runtime())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.contains(".isolation.") && label::is_orphan(&name) {
            let _ = remove_tree(&entry.path());
        }
    }
}

impl Plant {
    /// Plants everything, with the victim of the built programs below the home `real`.
    ///
    /// # Errors
    /// The programs are not built, or something cannot be planted.
    pub fn new(facts: &HostFacts, real: &Path) -> Result<Self, IsolationError> {
        let token = random_word();
        let pid = nix::unistd::getpid().as_raw();
        let prefix = format!("{}.", label::name(pid, "isolation"));
        let directory = fs::create_dir_all(home::runtime()).and_then(|()| {
            tempfile::Builder::new()
                .prefix(&prefix)
                .tempdir_in(home::runtime())
        });
        // Not where others may write: what lies there is run with our rights.
        let directory = directory.map_err(IsolationError::plant("a directory"))?;
        // Who runs as another user is to be kept out by the rung, not by a mode.
        let open = Permissions::from_mode(0o755);
        let place = directory.path();
        let planted = || -> io::Result<()> {
            fs::set_permissions(place, open.clone())?;
            fs::write(place.join("planted"), &token)?;
            fs::create_dir(place.join("mount"))?;
            fs::create_dir(place.join("granted"))?;
            symlink(
                place.join("planted"),
                place.join("granted").join(format!("faasm-bench-{token}")),
            )
        };
        planted().map_err(IsolationError::path(place))?;
        let program = built(real, "victim");
        // What is run is what was looked at: a name that only the trusted can change.
        let program = trust::open(&program).map_err(IsolationError::built(&program))?;
        let victim = Victim::start(program.path(), &token)
            .map_err(IsolationError::plant(program.path().display().to_string()))?;
        let listener = Listener::start(&token).map_err(IsolationError::plant("a listener"))?;
        let neighbours_port = free_port().map_err(IsolationError::plant("a port"))?;
        Ok(Self {
            file_digest: digest(token.as_bytes()),
            directory,
            program: program.path().to_owned(),
            facts: facts.clone(),
            victim,
            listener,
            neighbours_port,
            pattern: random_word(),
            token,
        })
    }

    /// Where files of a run may lie until it ends.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.directory.path()
    }

    /// What `probe` is told; `digit` says which of its number.
    #[must_use]
    pub fn parameters(&self, probe: &Probe, digit: u8) -> String {
        let file = self.place().join("planted");
        let file = file.display();
        let token = &self.token;
        let host = format!(
            "kernel={};booted={};token={token};",
            self.facts.kernel, self.facts.booted_s
        );
        let port = self.listener.port();
        let own = match probe.id {
            "read-planted" | "follow-link" => format!("file={file};digest={:x};", self.file_digest),
            "read-shadow" => {
                let digest = self.facts.shadow.unwrap_or_default();
                format!("shadow={};digest={digest:x};", self.facts.shadow_path())
            }
            "read-device" => self.device(),
            "write-outside" => format!("made={};", self.made().display()),
            "fill-disk" => format!("bytes={FILL_BYTES};"),
            "allocate" => format!("bytes={ALLOCATE_BYTES};"),
            "leftovers" => format!("bytes={LEFTOVER_BYTES};pattern={};", self.pattern),
            "fork" => format!("processes={FORKED_PROCESSES};"),
            "signal-process" => format!("pid={};", self.victim.pid()),
            "read-process-memory" => format!(
                "pid={};address={};memory={:x};",
                self.victim.pid(),
                self.victim.address,
                digest(token.as_bytes())
            ),
            "reach-loopback" => format!("port={port};"),
            "reach-neighbour" => format!("port={};", self.neighbours_port),
            "reach-host" | "network-rate" => {
                format!("port={port};addresses={};", self.facts.addresses.join(","))
            }
            "mount" => format!("mount={};", self.place().join("mount").display()),
            _ => format!("digit={digit};"),
        };
        host + &own
    }

    fn device(&self) -> String {
        self.facts
            .device
            .as_ref()
            .map_or_else(String::new, |device| {
                let (major, minor) = device.numbers;
                format!(
                    "device={};major={major};minor={minor};digest={:x};",
                    device.path, device.digest
                )
            })
    }

    fn made(&self) -> PathBuf {
        self.place().join(MADE)
    }

    /// Puts all probes, aimed at what is planted here, and the noisy neighbours into `home`.
    ///
    /// # Errors
    /// They are not built, or cannot be written.
    pub fn arm(&self, home: &Home) -> Result<(), IsolationError> {
        for probe in PROBES {
            for (digit, name) in functions(probe).into_iter().enumerate() {
                // Two at most.
                let digit = u8::try_from(digit).unwrap_or_default();
                home.add(&name, probe.id, &self.parameters(probe, digit))?;
            }
        }
        home.grant("follow-link", &self.place().join("granted"))?;
        for noise in Noise::ALL {
            let parameters = format!(
                "token={};kind={};milliseconds={BURST_MS};",
                self.token,
                noise.kind()
            );
            home.add(&noise.function(), "aggressor", &parameters)?;
        }
        Ok(())
    }

    /// Forgets what was seen of earlier attempts, and has the listener listen beside the processes `scope` too.
    ///
    /// # Errors
    /// Their network cannot be listened in, so that reaching it would not be seen.
    pub fn before(&mut self, probe: &Probe, scope: &[i32]) -> Result<(), IsolationError> {
        match probe.evidence {
            Evidence::Told => {}
            Evidence::FileMade => remove(&self.made())?,
            Evidence::Signalled => drop(self.victim.was_signalled(Duration::ZERO)),
            Evidence::Connected | Evidence::Passed => {
                for &pid in scope {
                    let beside = self.listener.listen_beside(pid);
                    beside.map_err(IsolationError::plant(format!(
                        "a listener beside process {pid}"
                    )))?;
                }
                self.listener.was_spoken_to();
                self.listener.take_rate(Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Whether the host has seen `probe`, whose starts ended so, do what it tries. What it says it did may take a while to be
    /// seen.
    pub fn seen(&mut self, probe: &Probe, ended: &[Ended]) -> Seen {
        let says_so = |e: &Ended| e.exit_code == Some(Outcome::Reached as i32);
        let within = match ended.iter().any(says_so) {
            true => SEEN_WITHIN,
            false => Duration::ZERO,
        };
        match probe.evidence {
            Evidence::Told => Seen::Nothing,
            Evidence::FileMade => self.made().exists().into(),
            Evidence::Signalled => self.victim.was_signalled(within).into(),
            Evidence::Connected => {
                self.listener.end_beside();
                self.listener.was_spoken_to().into()
            }
            Evidence::Passed => {
                let rate = self.listener.take_rate(within);
                self.listener.end_beside();
                rate.map_or(Seen::Nothing, Seen::Number)
            }
        }
    }

    /// Watches from now on whether the host still starts processes.
    #[must_use]
    pub fn watch_host(&self) -> HostStarts {
        HostStarts::watch(&self.program)
    }

    /// Whether the neighbour on the host still lives.
    pub fn neighbour_lives(&mut self) -> bool {
        self.victim.lives()
    }
}

/// The functions that ask `probe`'s question: one, or one for each of two digits.
#[must_use]
pub fn functions(probe: &Probe) -> Vec<String> {
    match probe.says {
        Says::Outcome | Says::Number | Says::Counted => vec![probe.id.to_owned()],
        Says::LargeNumber => vec![probe.id.to_owned(), format!("{}-high", probe.id)],
    }
}

fn remove(path: &Path) -> Result<(), IsolationError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IsolationError::path(path)(error))
        }
        _ => Ok(()),
    }
}
