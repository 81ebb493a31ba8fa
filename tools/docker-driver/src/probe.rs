//! What a private engine needs of the host.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use measure_core::contract::Probe;
use nix::unistd::geteuid;

use crate::engine::init::InitError;
use crate::engine::programs::find;
use crate::engine::{self, cgroups};
use crate::image::context::{self, Context};
use crate::kinds::{Kind, Way};

/// Executables of an engine; the daemon starts the others itself.
const NEEDED: [&str; 5] = [
    "dockerd",
    "containerd",
    "containerd-shim-runc-v2",
    "runc",
    "iptables",
];
const INSTALL: &str = "apt-get install docker.io iptables";
/// How long the namespaces of a probe may take.
const TRIAL_LIMIT: Duration = Duration::from_secs(5);

/// Whether a private engine can run here with what `kind` needs, with an image or what it is made of.
#[must_use]
pub fn private_engine(kind: &Kind) -> Probe {
    let checks: [&dyn Fn() -> Probe; 5] = [
        &user,
        &|| programs_of(kind),
        &cgroups::probe,
        &namespaces,
        &image,
    ];
    let mut found = checks.iter().map(|check| check());
    found
        .find(|probe| *probe != Probe::Ready)
        .unwrap_or(Probe::Ready)
}

fn user() -> Probe {
    if geteuid().is_root() {
        return Probe::Ready;
    }
    Probe::unavailable(
        "a docker engine of its own needs root",
        "run it as root, or use a running engine with --docker-host",
    )
}

fn programs_of(kind: &Kind) -> Probe {
    if let Some(missing) = NEEDED.iter().find(|name| find(name).is_none()) {
        return Probe::unavailable(format!("{missing} is not installed"), INSTALL);
    }
    if let Some(runtime) = kind.runtime.filter(|name| find(name).is_none()) {
        let install = format!("apt-get install {runtime}");
        return Probe::unavailable(format!("{runtime} is not installed"), install);
    }
    if kind.way == Way::Restore {
        return criu();
    }
    Probe::Ready
}

/// Whether CRIU, which docker's checkpoints are made by, works with this kernel.
fn criu() -> Probe {
    let Some(criu) = find("criu") else {
        return Probe::unavailable("criu is not installed", "apt-get install criu");
    };
    let checked = Command::new(&criu)
        .arg("check")
        .stdin(Stdio::null())
        .output();
    match checked {
        Ok(checked) if checked.status.success() => Probe::Ready,
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            let lines: Vec<&str> = said.lines().filter(|line| line.contains("Error")).collect();
            let why = format!("`criu check` fails: {}", lines.join(" | "));
            Probe::unavailable(why, "install a criu that knows this kernel")
        }
        Err(error) => {
            let why = format!("cannot run {}: {error}", criu.display());
            Probe::unavailable(why, "apt-get install --reinstall criu")
        }
    }
}

fn namespaces() -> Probe {
    match try_namespaces_once() {
        Ok(()) => Probe::Ready,
        Err(why) => Probe::unavailable(
            format!("the kernel refuses the engine's namespaces: {why}"),
            "run it with CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: --privileged)",
        ),
    }
}

/// Whether there is an image or what it is made of.
#[must_use]
pub fn image() -> Probe {
    match Context::read() {
        Ok(_) => Probe::Ready,
        Err(error) => Probe::unavailable(error.to_string(), context::MEND),
    }
}

/// Why the engine's namespaces could not be made.
#[derive(Debug, thiserror::Error)]
enum NamespaceError {
    #[error(transparent)]
    Start(#[from] InitError),
    #[error(transparent)]
    Pipe(#[from] io::Error),
    /// What the trial said of it.
    #[error("{0}")]
    Refused(String),
    #[error("no answer")]
    Silent,
}

/// Tries the namespaces once per process: they do not change under it.
fn try_namespaces_once() -> Result<(), &'static NamespaceError> {
    static TRIED: OnceLock<Result<(), NamespaceError>> = OnceLock::new();
    TRIED.get_or_init(try_namespaces).as_ref().copied()
}

fn try_namespaces() -> Result<(), NamespaceError> {
    let (log, mut output) = pipe()?;
    let trial = engine::Trial::start(&log)?;
    drop(log);
    let ended = trial.outcome(TRIAL_LIMIT);
    match ended {
        Some(true) => Ok(()),
        Some(false) => {
            let mut text = String::new();
            let _ = output.read_to_string(&mut text);
            let why = text.trim().trim_start_matches("engine-init: ");
            Err(NamespaceError::Refused(why.to_owned()))
        }
        None => Err(NamespaceError::Silent),
    }
}

fn pipe() -> io::Result<(File, File)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((write.into(), read.into()))
}
