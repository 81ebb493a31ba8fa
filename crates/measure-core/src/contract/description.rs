//! What a driver says of a rung: what it is, whether it can run here, whose work counts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a rung is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Description {
    /// Ladder id.
    pub rung: String,
    /// One line: what starts.
    pub summary: String,
    /// Engine and version, for example `wasmtime 48.0.8`.
    pub engine: String,
    /// What a start finds ready, and how the rung knows that the start was cold.
    pub cold: String,
    /// The same in a few words, for the legend beneath the ladder: what a start finds ready; `nothing` where it finds
    /// no more than files in the page cache.
    #[serde(default)]
    pub warm: String,
    /// What it isolates.
    pub isolation: Isolation,
    /// Security-relevant settings in force, for the records.
    pub settings: Vec<String>,
    /// The most starts that make sense at once (1 for what has no concurrency of its own).
    pub max_workers: usize,
    /// The function that starts are timed with unless told otherwise.
    pub default_function: String,
}

impl Description {
    /// First words of settings that bound what strangers' code may take, all starts together or before its first: `doctor` shows
    /// them.
    pub const BOUNDS: [&str; 2] = ["budgets", "compiling"];

    /// How the setting begins that says what of the network the function was granted.
    pub const NETWORK_GRANTED: &str = "network granted: ";

    /// What of the network the function that runs was granted, in words; nothing if nothing was, or the rung has no such grants.
    #[must_use]
    pub fn network_granted(&self) -> Option<&str> {
        let mut settings = self.settings.iter();
        settings.find_map(|words| words.strip_prefix(Self::NETWORK_GRANTED))
    }

    /// The settings that begin with one of [`Self::BOUNDS`]: that word, and what follows it.
    pub fn bounds(&self) -> impl Iterator<Item = (&str, &str)> {
        let split = self
            .settings
            .iter()
            .filter_map(|words| words.split_once(' '));
        split.filter(|(first, _)| Self::BOUNDS.contains(first))
    }
}

/// How each resource is isolated; empty where it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Isolation {
    /// For example `SFI`, `address space`.
    pub memory: String,
    /// For example `cgroup`.
    pub cpu: String,
    /// For example `network namespace`.
    pub network: String,
    /// For example `mount namespace`, `WASI capabilities`.
    pub files: String,
    /// For example `seccomp`, `no system calls`.
    pub syscalls: String,
    /// For example `dropped`, `none`.
    pub capabilities: String,
    /// For example `KVM`: an edge that the processor guards, beyond the one between kernel and process.
    #[serde(default)]
    pub hardware: String,
    /// Which network a worker is in, whatever `network` says of it; `None` where nobody says, as in records of before 2026-12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// Which network a worker is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// That of the host, or of the engine that starts it.
    Host,
    /// A network namespace with a way out of it, to whatever is granted.
    Namespace,
    /// A network namespace with nothing but loopback.
    Loopback,
    /// None: it has no device, or is offered no socket.
    Nothing,
}

impl Isolation {
    /// Whether no word is said of any resource.
    #[must_use]
    pub fn states_nothing(&self) -> bool {
        let words = Self {
            reach: None,
            ..self.clone()
        };
        words == Self::default()
    }

    /// Whether nothing outside can be connected to, whatever a function was granted.
    #[must_use]
    pub fn has_no_network(&self) -> bool {
        matches!(self.reach, Some(Reach::Loopback | Reach::Nothing))
    }

    /// Whether each worker has a network namespace.
    #[must_use]
    pub fn has_network_namespace(&self) -> bool {
        matches!(self.reach, Some(Reach::Namespace | Reach::Loopback))
    }

    /// Whether a worker finds the host's own services at its loopback.
    #[must_use]
    pub fn is_in_network_of_host(&self) -> bool {
        self.reach == Some(Reach::Host)
    }
}

/// Whether a rung can run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// It can.
    Ready,
    /// It cannot.
    Unavailable {
        /// What stands against it.
        why: String,
        /// What to do about it.
        mend: String,
    },
}

impl Probe {
    /// That it cannot: what stands against it, and what to do about it.
    #[must_use]
    pub fn unavailable(why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::Unavailable {
            why: why.into(),
            mend: mend.into(),
        }
    }
}

/// Whose work counts as the rung's, for a sampler outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Roots of process trees, walked anew at each sample.
    pub roots: Vec<i32>,
    /// Cgroup directories that hold all of the work, by controller (`cpuacct`, `memory`, `blkio`,
    /// `unified`); a controller that is absent cannot be had here.
    pub cgroups: BTreeMap<String, PathBuf>,
    /// Further groups whose work counts beside that of `cgroups`, each in the form of that and none within another: those of an engine
    /// that somebody else runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_cgroups: Vec<BTreeMap<String, PathBuf>>,
    /// Whether whoever started a process in `cgroups`, from outside of all groups and trees, counts too: an engine's shims, where no group
    /// holds them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starters: bool,
    /// The driver itself where it is only the client of an engine: weighed, but apart.
    pub client: Option<i32>,
    /// In words, for the records: what is inside.
    pub includes: String,
}

impl Scope {
    /// Its groups, those in `cgroups` first, each by controller.
    pub fn groups(&self) -> impl Iterator<Item = &BTreeMap<String, PathBuf>> {
        let first = Some(&self.cgroups).filter(|groups| !groups.is_empty());
        first.into_iter().chain(&self.more_cgroups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_a_worker_is_a_value_and_no_words() {
        let words = "network namespace with nothing but loopback";
        let old = format!(
            r#"{{"memory":"","cpu":"","network":"{words}","files":"","syscalls":"","capabilities":""}}"#
        );
        let old: Isolation = serde_json::from_str(&old).expect("a record of before");
        assert_eq!(old.reach, None);
        assert!(!old.has_no_network() && !old.has_network_namespace());
        let said = serde_json::to_string(&old).expect("written");
        assert!(!said.contains("reach"), "{said}");
        for (reach, none, namespace, host) in [
            (Reach::Host, false, false, true),
            (Reach::Namespace, false, true, false),
            (Reach::Loopback, true, true, false),
            (Reach::Nothing, true, false, false),
        ] {
            let isolation = Isolation {
                reach: Some(reach),
                ..old.clone()
            };
            assert!(!isolation.states_nothing());
            assert_eq!(isolation.has_no_network(), none, "{reach:?}");
            assert_eq!(isolation.has_network_namespace(), namespace, "{reach:?}");
            assert_eq!(isolation.is_in_network_of_host(), host, "{reach:?}");
            let said = serde_json::to_string(&isolation).expect("written");
            let read: Isolation = serde_json::from_str(&said).expect("read");
            assert_eq!(read, isolation);
            let silent = Isolation {
                network: String::new(),
                ..isolation
            };
            assert!(silent.states_nothing());
        }
    }
}
