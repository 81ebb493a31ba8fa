//! Which drivers there are, and which rungs each offers: found by asking them.

use std::env;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::ids;
use measure_core::base::interrupt;
use measure_core::base::programs::on_path;
use measure_core::contract::protocol::{Message, ProtocolError, parse_line};
use measure_core::contract::{Description, Probe};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engines::{Driver, Engines};

/// The drivers of this workspace, in the order of the ladder. Nothing else here knows a runtime.
pub const DRIVERS: [&str; 4] = [
    "process-driver",
    "faasm-driver",
    "docker-driver",
    "microvm-driver",
];
/// The rungs of the quick profile.
pub const QUICK: [&str; 10] = [
    "thread",
    "thread-pooled",
    "process",
    "wasm",
    "faaslet",
    "faaslet-netns",
    "faaslet-new",
    "faaslet-pooled",
    "docker-none",
    "docker-bridge",
];
/// How long a driver may take to probe its rungs.
const INFO_LIMIT: Duration = Duration::from_secs(60);
/// How long a driver that is asked to end may take to tidy up.
const GRACE: Duration = Duration::from_secs(10);

/// A rung and who offers it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The driver.
    pub driver: Driver,
    /// What the rung is.
    pub description: Description,
    /// Whether it can run here.
    pub probe: Probe,
}

impl Offer {
    /// Ladder id.
    #[must_use]
    pub fn rung(&self) -> &str {
        &self.description.rung
    }

    /// The driver's name.
    #[must_use]
    pub fn driver_name(&self) -> String {
        self.driver
            .path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }
}

/// The message for a rung that no driver offers, with the nearest that there are.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownRung(String);

/// All rungs that can be had, and the drivers that cannot.
#[derive(Debug, Default)]
pub struct Ladder {
    /// In order.
    pub offers: Vec<Offer>,
    /// Name of a driver, and what is wrong with it.
    pub missing: Vec<(String, DriverError)>,
}

impl Ladder {
    /// Asks every driver, with `engines` where they are named.
    #[must_use]
    pub fn discover(engines: &Engines) -> Self {
        let mut ladder = Self::default();
        let asked: Vec<_> = DRIVERS
            .iter()
            .map(|&name| {
                let engines = engines.clone();
                (name, thread::spawn(move || offers_of(name, &engines)))
            })
            .collect();
        for (name, answer) in asked {
            match answer.join() {
                Ok(Ok(offers)) => ladder.offers.extend(offers),
                Ok(Err(why)) => ladder.missing.push((name.to_owned(), why)),
                Err(_) => ladder.missing.push((name.to_owned(), DriverError::Asking)),
            }
        }
        ladder
    }

    /// The rungs with these ids, in the order of the ladder.
    ///
    /// # Errors
    /// One does not exist.
    pub fn select(&self, wanted: &[String]) -> Result<Vec<Offer>, UnknownRung> {
        let known: Vec<String> = self.offers.iter().map(|o| o.rung().to_owned()).collect();
        if let Some(unknown) = wanted.iter().find(|w| !known.contains(w)) {
            let mut message = ids::unknown("rung", unknown, &known);
            for (driver, why) in &self.missing {
                message += &format!("; {driver} offers none: {why}");
            }
            return Err(UnknownRung(message));
        }
        let chosen = |offer: &&Offer| wanted.iter().any(|w| w == offer.rung());
        Ok(self.offers.iter().filter(chosen).cloned().collect())
    }

    /// The rungs of the quick profile that some driver offers.
    #[must_use]
    pub fn quick(&self) -> Vec<Offer> {
        let chosen = |offer: &&Offer| QUICK.contains(&offer.rung());
        self.offers.iter().filter(chosen).cloned().collect()
    }
}

/// Where the driver `name` lies: beside this executable, else on PATH.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let beside = env::current_exe().ok()?.parent()?.join(name);
    on_path(beside).or_else(|| on_path(name))
}

/// Why nothing can be had from a driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// There is none.
    #[error("it is neither beside this program nor on PATH, build or install it")]
    Absent,
    /// It does not start.
    #[error("cannot start {}: {source}", driver.display())]
    Start {
        /// The executable.
        driver: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It was ended.
    #[error("`{command}` did not end in {} s", limit.as_secs())]
    Late {
        /// Its arguments.
        command: String,
        /// How long it had.
        limit: Duration,
    },
    /// It ended wrongly.
    #[error("`{command}` ended with {status}: {said}")]
    Failed {
        /// Its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its standard error.
        said: String,
    },
    /// It does not speak our language.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// It says something else than its rungs.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
    /// Our own thread that asked it.
    #[error("asking it failed")]
    Asking,
}

fn offers_of(name: &str, engines: &Engines) -> Result<Vec<Offer>, DriverError> {
    let driver = Driver::new(name, find(name).ok_or(DriverError::Absent)?, engines);
    let answer = run(&driver, &["info", "--json"], INFO_LIMIT)?;
    answer
        .lines()
        .map(|line| match parse_line(line)? {
            Message::Rung { description, probe } => Ok(Offer {
                driver: driver.clone(),
                description,
                probe,
            }),
            other => Err(DriverError::Unexpected(format!("{other:?}"))),
        })
        .collect()
}

/// Runs a driver's short command to its end and returns what it printed.
///
/// # Errors
/// It cannot be started, fails, or takes longer than `limit`.
pub fn run(driver: &Driver, arguments: &[&str], limit: Duration) -> Result<String, DriverError> {
    let command = arguments.join(" ");
    let mut child = driver
        .command()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|source| DriverError::Start {
            driver: driver.path.clone(),
            source,
        })?;
    // Both pipes are read while it runs, so that it cannot block on a full one.
    let output = child.stdout.take().map(slurp);
    let errors = child.stderr.take().map(slurp);
    let Some(status) = end_of(&mut child, limit) else {
        return Err(DriverError::Late { command, limit });
    };
    let text = |reader: Option<thread::JoinHandle<String>>| {
        reader.and_then(|r| r.join().ok()).unwrap_or_default()
    };
    let (output, errors) = (text(output), text(errors));
    if status.success() {
        Ok(output)
    } else {
        Err(DriverError::Failed {
            command,
            status,
            said: errors.trim().to_owned(),
        })
    }
}

/// How `child` ended. After a signal or `limit` it is asked to end, so that it can tidy up after what it probes;
/// killed, and none, only if it does not.
fn end_of(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let mut until = Instant::now() + limit;
    let mut asked = false;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if !asked && (Instant::now() >= until || interrupt::received().is_some()) => {
                asked = true;
                until = Instant::now() + GRACE;
                let pid = Pid::from_raw(child.id().cast_signed());
                // Gone already is as good.
                let _ = kill(pid, Signal::SIGTERM);
            }
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

fn slurp(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
