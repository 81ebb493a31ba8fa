//! `isolation.json`: what a run of probes found, from which all tables are made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use measure_core::contract::Isolation;
use measure_core::contract::run_dir::RESULTS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::error::IsolationError;
use crate::filters::passing_calls;
use crate::interference::{Interference, Share};
use crate::networks::Passed;

/// The file's name.
pub const FILE: &str = "isolation.json";
/// `Seccomp` of proc(5) for a process with filters.
const FILTERED: u32 = 2;
/// Version of its form.
pub const SCHEMA: u32 = 1;

/// What a run found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run directory's name.
    pub run: String,
    /// How many processors, and so aggressors.
    pub cpus: usize,
    /// The scheduler's slice.
    pub slice_ns: u64,
    /// `user/function` for which it was asked, if for one: whose starts are the victim, and what it is granted of the network all probes are.
    #[serde(default)]
    pub function: Option<String>,
    /// What that is, as `host:port`.
    #[serde(default)]
    pub granted: Vec<String>,
    /// What the probes found without any rung, by id.
    pub control: BTreeMap<String, Cell>,
    /// The rungs, in the order of the ladder.
    pub rungs: Vec<RungFound>,
    /// What ended it early.
    #[serde(default)]
    pub ended: Option<String>,
}

/// What was found at a rung.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RungFound {
    /// Ladder id.
    pub rung: String,
    /// Who offers it.
    pub driver: String,
    /// What its entry states of itself.
    pub isolation: Isolation,
    /// Why it cannot run here.
    #[serde(default)]
    pub unavailable: Option<String>,
    /// The rung whose entry states the same, and which was probed instead.
    #[serde(default)]
    pub as_rung: Option<String>,
    /// The verdicts, by probe.
    pub cells: BTreeMap<String, Cell>,
    /// The processes of the host that carry one parked worker, from outside.
    #[serde(default)]
    pub processes: Vec<HostProcess>,
    /// What passes out of the network of a parked worker, from outside.
    #[serde(default)]
    pub passed: Option<Passed>,
    /// What a noisy neighbour did.
    #[serde(default)]
    pub interference: Option<Interference>,
    /// The scheduler's slice, as of the run.
    pub slice_ns: u64,
}

/// A process of the host, as `/proc/PID/status` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostProcess {
    /// Its program.
    pub name: String,
    /// Its effective user.
    pub uid: u32,
    /// How many capabilities it has in effect.
    pub capabilities: u32,
    /// 0 none, 2 a filter.
    pub seccomp: u32,
    /// How many of the system calls pass its filters ([`passing_calls`]); none where it has none, or they cannot be read.
    #[serde(default)]
    pub passing_calls: Option<u32>,
    /// Whether what it executes can gain no privileges.
    pub no_new_privileges: bool,
    /// Whether its root is that of the host.
    pub host_root: bool,
}

impl RungFound {
    /// What a victim beside spinning aggressors has of the CPU; none if it was not measured.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        self.interference.as_ref()?.share(self.slice_ns)
    }
}

impl Found {
    /// For which function it was asked, in words; empty if for none.
    #[must_use]
    pub fn asked_for(&self) -> String {
        let Some(function) = &self.function else {
            return String::new();
        };
        match self.granted.is_empty() {
            true => format!(
                "Asked for {function}, which is granted nothing of the network: it is the victim."
            ),
            false => format!(
                "Asked for {function}: it is the victim, and the probes are granted {}, as it is.",
                self.granted.join(", ")
            ),
        }
    }

    /// Reads the results in the run directory `dir`.
    ///
    /// # Errors
    /// There are none, they are no such file, or of a later version.
    pub fn read(dir: &Path) -> Result<Self, IsolationError> {
        let path = dir.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(source) => return Err(IsolationError::Record { path, source }),
        };
        match serde_json::from_slice::<Self>(&text) {
            Ok(found) if found.schema > SCHEMA => Err(IsolationError::Newer {
                path,
                found: found.schema,
                known: SCHEMA,
            }),
            Ok(found) => Ok(found),
            Err(source) => Err(IsolationError::Malformed { path, source }),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Plain data with string keys always serialises.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Whether a run directory holds such results.
    #[must_use]
    pub fn is_there(dir: &Path) -> bool {
        dir.join(FILE).is_file()
    }
}

/// The run directory below `results/` that holds the newest such results: names begin with their time.
#[must_use]
pub fn newest() -> Option<PathBuf> {
    let entries = fs::read_dir(RESULTS).ok()?.flatten();
    let held = entries
        .map(|entry| entry.path())
        .filter(|path| !path.is_symlink() && Found::is_there(path));
    held.max()
}

/// The processes with ids `pids` that live, but for threads of the kernel.
#[must_use]
pub fn host_processes(pids: &[i32]) -> Vec<HostProcess> {
    let own_root = fs::metadata("/").ok();
    pids.iter()
        .filter_map(|&pid| host_process(pid, own_root.as_ref()))
        .collect()
}

fn host_process(pid: i32, own_root: Option<&fs::Metadata>) -> Option<HostProcess> {
    use std::os::unix::fs::MetadataExt;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(':').map(str::trim)
    };
    let seccomp = field("Seccomp")?.parse().ok()?;
    let root = fs::metadata(format!("/proc/{pid}/root/.")).ok();
    let place = |root: &fs::Metadata| (root.dev(), root.ino());
    Some(HostProcess {
        name: field("Name")?.to_owned(),
        uid: field("Uid")?.split_whitespace().nth(1)?.parse().ok()?,
        capabilities: u64::from_str_radix(field("CapEff")?, 16).ok()?.count_ones(),
        seccomp,
        passing_calls: (seccomp == FILTERED)
            .then(|| passing_calls(pid).ok())
            .flatten(),
        no_new_privileges: field("NoNewPrivs")? == "1",
        host_root: root.as_ref().map(place) == own_root.map(place),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_process_is_found_as_it_is() {
        let me = host_processes(&[std::process::id().cast_signed(), i32::MAX]);
        assert_eq!(me.len(), 1);
        assert_eq!(me[0].uid, nix::unistd::geteuid().as_raw());
        assert!(me[0].host_root);
    }

    #[test]
    fn results_survive_their_file() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!Found::is_there(dir.path()));
        let mut found = Found {
            schema: SCHEMA,
            run: "r".into(),
            ..Found::default()
        };
        found.control.insert("mount".into(), Cell::Reached);
        fs::write(dir.path().join(FILE), found.to_json()).expect("written");
        assert_eq!(Found::read(dir.path()).expect("read"), found);
        found.schema = SCHEMA + 1;
        fs::write(dir.path().join(FILE), found.to_json()).expect("written");
        let error = Found::read(dir.path()).expect_err("newer").to_string();
        assert!(error.contains("use the version that wrote it"), "{error}");
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "\\PC{0,200}") {
            let _ = serde_json::from_str::<Found>(&text);
        }
    }
}
