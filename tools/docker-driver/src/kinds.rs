//! Which docker rungs there are, and what sets each apart.

use measure_core::contract::{Isolation, Reach};
use serde_json::{Map, Value, json};

use crate::engine::{Network, Setup, programs};

/// Where crun meets a v2 tree beside the v1 hierarchies it refuses to work.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// How a start comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Created, started, waited for, removed.
    Full,
    /// Only started; created beforehand.
    Precreated,
    /// Unpaused; started and paused beforehand, inside the function's `main`.
    Unpause,
    /// Restored by CRIU from a checkpoint taken inside the function's `main`.
    Restore,
}

impl Way {
    /// Whether a container waits inside its function for the start.
    #[must_use]
    pub fn resumes(self) -> bool {
        matches!(self, Self::Unpause | Self::Restore)
    }
}

/// What the container's image holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The functions on Alpine or on a local base.
    Noop,
    /// The functions and nothing else.
    Small,
    /// The functions and many files.
    Large,
}

/// A rung: its id and what sets it apart from `docker-none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Ladder id.
    pub id: &'static str,
    /// Docker's network.
    pub network: &'static str,
    /// How a start comes about.
    pub way: Way,
    /// The OCI runtime, where it is not docker's own.
    pub runtime: Option<&'static str>,
    /// What is in the image.
    pub content: Content,
}

const NONE: Kind = Kind {
    id: "docker-none",
    network: "none",
    way: Way::Full,
    runtime: None,
    content: Content::Noop,
};

/// The rungs, in order.
pub const KINDS: [Kind; 10] = [
    NONE,
    Kind {
        id: "docker-host",
        network: "host",
        ..NONE
    },
    Kind {
        id: "docker-bridge",
        network: "bridge",
        ..NONE
    },
    Kind {
        id: "docker-precreated",
        way: Way::Precreated,
        ..NONE
    },
    Kind {
        id: "docker-unpause",
        way: Way::Unpause,
        ..NONE
    },
    Kind {
        id: "docker-restore",
        way: Way::Restore,
        ..NONE
    },
    Kind {
        id: "docker-crun",
        runtime: Some("crun"),
        ..NONE
    },
    Kind {
        id: "docker-runsc",
        runtime: Some("runsc"),
        ..NONE
    },
    Kind {
        id: "docker-small",
        content: Content::Small,
        ..NONE
    },
    Kind {
        id: "docker-large",
        content: Content::Large,
        ..NONE
    },
];

impl Kind {
    /// What an engine of our own must be told for it.
    #[must_use]
    pub fn setup(&self) -> Setup {
        let mut config = Map::new();
        if let Some(runtime) = self.runtime {
            let path = programs::find(runtime).unwrap_or_else(|| runtime.into());
            let mut entry = json!({ "path": path });
            let arguments = runtime_arguments(runtime);
            if !arguments.is_empty() {
                entry["runtimeArgs"] = json!(arguments);
            }
            config.insert("runtimes".into(), json!({ runtime: entry }));
        }
        if self.way == Way::Restore {
            config.insert("experimental".into(), Value::Bool(true));
        }
        let hide = self.runtime == Some("crun");
        Setup {
            config,
            hide_mounts: hide.then(|| UNIFIED.into()).into_iter().collect(),
            network: match self.network {
                "bridge" => Network::Bridged,
                _ => Network::Bare,
            },
            slot: (0..)
                .zip(KINDS)
                .find_map(|(slot, kind)| (kind.id == self.id).then_some(slot))
                .unwrap_or_default(),
        }
    }

    /// In one line: what starts.
    #[must_use]
    pub fn summary(&self) -> String {
        let what = match self.way {
            Way::Full => "full path of docker run --rm: API, dockerd, containerd, shim, runtime",
            Way::Precreated => "start of a container created beforehand",
            Way::Unpause => "docker unpause of a container paused inside its function",
            Way::Restore => {
                "docker start --checkpoint: CRIU restores a container inside its function"
            }
        };
        let mut text = format!("{what}, network {}", self.network);
        if let Some(runtime) = self.runtime {
            text += &format!(", OCI runtime {runtime}");
        }
        match self.content {
            Content::Noop => {}
            Content::Small => text += ", an image of the functions alone",
            Content::Large => text += ", an image with 128 MiB more in 4096 files",
        }
        text
    }

    /// What a start finds ready.
    #[must_use]
    pub fn cold(&self) -> &'static str {
        match self.way {
            Way::Full => {
                "engine up, image loaded and in the page cache; the container, its mounts, namespaces, cgroups, shim and \
                 processes are new at each start and removed at its end"
            }
            Way::Precreated => {
                "engine up, image loaded, container created and stopped beforehand and started again each time: mounts, \
                 namespaces, cgroups, shim and processes are new at each start, the writable layer is kept"
            }
            Way::Unpause => {
                "not cold: the container was started and paused beforehand, its function blocked in main; a start unpauses it, closes \
                 its standard input and waits for its end; its removal and the next container are made between starts, untimed"
            }
            Way::Restore => {
                "a checkpoint was taken beforehand with the function blocked in main, and the container ended; a start restores its processes \
                 and their memory from files, closes its standard input and waits for its end; its removal and the next checkpoint \
                 are made between starts, untimed"
            }
        }
    }

    /// The same in a few words.
    #[must_use]
    pub fn warm(&self) -> &'static str {
        match self.way {
            Way::Full => "engine, image",
            Way::Precreated => "engine, image, created container",
            Way::Unpause => "engine, paused container inside its function",
            Way::Restore => "engine, checkpoint inside its function",
        }
    }

    /// The function that starts are timed with unless told otherwise.
    #[must_use]
    pub fn function(&self) -> &'static str {
        if self.way.resumes() {
            "demo/park"
        } else {
            "demo/noop"
        }
    }

    /// What it isolates.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        let (network, reach) = match self.network {
            "host" => ("none: that of the engine", Reach::Host),
            "bridge" => (
                "network namespace, veth pair on a bridge, NAT",
                Reach::Namespace,
            ),
            _ => (
                "network namespace with nothing but loopback",
                Reach::Loopback,
            ),
        };
        let syscalls = match self.runtime {
            Some("runsc") => "gVisor's own kernel, by ptrace",
            _ => "seccomp, docker's default profile",
        };
        Isolation {
            memory: "address space, cgroup".into(),
            cpu: "cgroup".into(),
            network: network.into(),
            files: "mount namespace, overlay file system".into(),
            syscalls: syscalls.into(),
            capabilities: "all but docker's default set dropped".into(),
            hardware: String::new(),
            reach: Some(reach),
        }
    }
}

/// What an OCI runtime is given so that it runs wherever it can.
fn runtime_arguments(runtime: &str) -> &'static [&'static str] {
    match runtime {
        // Its KVM platform needs VMX or SVM; its network stack takes a namespace of a new kernel for the
        // host's and refuses.
        "runsc" => &["--platform=ptrace", "--network=none"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_an_engine_is_told_what_its_rung_needs() {
        for (i, kind) in KINDS.iter().enumerate() {
            assert!(
                KINDS[..i].iter().all(|other| other.id != kind.id),
                "{}",
                kind.id
            );
            let config = kind.setup().config;
            let runtimes = config.get("runtimes").and_then(Value::as_object);
            assert_eq!(
                runtimes
                    .and_then(|all| all.keys().next())
                    .map(String::as_str),
                kind.runtime,
                "{}",
                kind.id
            );
            assert_eq!(
                config.get("experimental").is_some(),
                kind.way == Way::Restore
            );
            assert_eq!(kind.function() == "demo/park", kind.way.resumes());
            assert_eq!(kind.setup().slot as usize, i);
        }
    }
}
