//! What a private engine needs of the host.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use measure_core::base::programs::{find_in, search_path};
use measure_core::contract::Probe;
use nix::unistd::geteuid;

use crate::engine::{self, cgroups};
use crate::image;
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

fn unavailable(why: impl Into<String>, mend: impl Into<String>) -> Probe {
    Probe::Unavailable {
        why: why.into(),
        mend: mend.into(),
    }
}

/// Whether a private engine can run here with what `kind` needs, with an image or what it is made of.
#[must_use]
pub fn private_engine(kind: &Kind) -> Probe {
    if !geteuid().is_root() {
        return unavailable(
            "a docker engine of its own needs root",
            "run it as root, or use a running engine with --docker-host",
        );
    }
    if let Some(missing) = NEEDED.iter().find(|name| find(name).is_none()) {
        return unavailable(format!("{missing} is not installed"), INSTALL);
    }
    if let Some(runtime) = kind.runtime.filter(|name| find(name).is_none()) {
        let install = format!("apt-get install {runtime}");
        return unavailable(format!("{runtime} is not installed"), install);
    }
    if kind.way == Way::Restore
        && let Err((why, mend)) = criu()
    {
        return unavailable(why, mend);
    }
    if let Err((why, mend)) = cgroups::check() {
        return unavailable(why, mend);
    }
    if let Err(why) = namespaces() {
        return unavailable(
            format!("the kernel refuses the engine's namespaces: {why}"),
            "run it with CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: --privileged)",
        );
    }
    image()
}

/// Whether CRIU, which docker's checkpoints are made by, works with this kernel.
fn criu() -> Result<(), (String, String)> {
    let Some(criu) = find("criu") else {
        let why = "criu is not installed".to_owned();
        return Err((why, "apt-get install criu".into()));
    };
    let checked = Command::new(criu)
        .arg("check")
        .stdin(Stdio::null())
        .output();
    let checked = checked.map_err(|e| (format!("cannot run criu: {e}"), String::new()))?;
    if checked.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("Error")).collect();
    let why = format!("`criu check` fails: {}", lines.join(" | "));
    Err((why, "install a criu that knows this kernel".into()))
}

/// Whether there is an image or what it is made of.
#[must_use]
pub fn image() -> Probe {
    match image::context::Context::read() {
        Ok(_) => Probe::Ready,
        Err(error) => {
            let text = error.to_string();
            match text.rsplit_once(": ") {
                Some((why, mend)) => unavailable(why, mend),
                None => unavailable(text, "make build-noop"),
            }
        }
    }
}

/// Tries the namespaces once per process: they do not change under it.
fn namespaces() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    TRIED.get_or_init(try_namespaces).clone()
}

fn try_namespaces() -> Result<(), String> {
    let (log, mut output) = pipe().map_err(|e| e.to_string())?;
    let trial = engine::Trial::start(&log).map_err(|e| e.to_string())?;
    drop(log);
    let ended = trial.outcome(TRIAL_LIMIT);
    match ended {
        Some(true) => Ok(()),
        Some(false) => {
            let mut text = String::new();
            let _ = std::io::Read::read_to_string(&mut output, &mut text);
            Err(text.trim().trim_start_matches("engine-init: ").to_owned())
        }
        None => Err("no answer".into()),
    }
}

fn pipe() -> nix::Result<(File, File)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    Ok((write.into(), read.into()))
}

/// Where the executable `name` is, of an engine or of what it starts.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(name, &search_path(&[]))
}

/// Versions of the engine's parts, from the executables.
pub fn versions() -> &'static str {
    static VERSIONS: OnceLock<String> = OnceLock::new();
    VERSIONS.get_or_init(|| {
        // All at once: each takes some tens of milliseconds.
        let running = [
            ("docker", "dockerd"),
            ("containerd", "containerd"),
            ("runc", "runc"),
        ]
        .map(|(name, program)| {
            let run = Command::new(find(program).unwrap_or_else(|| program.into()))
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            (name, run)
        });
        let [dockerd, containerd, runc] = running.map(|(name, run)| {
            let output = run.and_then(std::process::Child::wait_with_output);
            let version = output
                .ok()
                .and_then(|output| pick_version(&String::from_utf8_lossy(&output.stdout)))
                .unwrap_or_else(|| "not installed".into());
            format!("{name} {version}")
        });
        format!("{dockerd} ({containerd}, {runc})")
    })
}

/// The first word with a digit in it that looks like a version.
fn pick_version(text: &str) -> Option<String> {
    text.split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_tools_print() {
        for (text, version) in [
            (
                "Docker version 20.10.24+dfsg1, build 5d6db84",
                "20.10.24+dfsg1",
            ),
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1",
                "1.6.20~ds1",
            ),
            ("runc version 1.1.5+ds1\ncommit: 1.1.5", "1.1.5+ds1"),
        ] {
            assert_eq!(pick_version(text).as_deref(), Some(version));
        }
        assert_eq!(pick_version("no such thing"), None);
    }
}
