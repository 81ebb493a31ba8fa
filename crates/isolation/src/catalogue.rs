//! The probes. One more is a file `functions/isolation/<id>.c` and a line here.

use crate::letter::Letter;

/// What a probe is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Files and disk.
    Files,
    /// Processes and memory.
    Processes,
    /// Network.
    Network,
    /// Privileges and system calls.
    Privileges,
}

impl Group {
    /// All, in the order of the tables.
    pub const ALL: [Self; 4] = [
        Self::Files,
        Self::Processes,
        Self::Network,
        Self::Privileges,
    ];

    /// At the head of a column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Processes => "processes",
            Self::Network => "network",
            Self::Privileges => "privileges",
        }
    }
}

/// What the host sees of an attempt; it counts more than what the probe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: the probe compares what it found with what it was told.
    Told,
    /// A file is there that was not.
    FileMade,
    /// A process of the host got a signal.
    Signalled,
    /// A listener of the host was spoken to.
    Connected,
    /// So many bytes a second came to a listener of the host.
    Passed,
}

/// What a probe's exit code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// An [`Outcome`](crate::outcome::Outcome).
    Outcome,
    /// A number below 64.
    Number,
    /// A larger one, by two starts.
    LargeNumber,
    /// How it went; the number is what the host has counted.
    Counted,
}

/// A question and who asks it.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// File name of its source, its function's name, and how the tables call it.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// The letter that a rung has not if this reads *reached*.
    pub letter: Option<Letter>,
    /// What *reached* means, or what the number is of.
    pub means: &'static str,
    /// What the host sees of it.
    pub evidence: Evidence,
    /// What its exit code is.
    pub says: Says,
    /// It takes as much of something as it gets: not tried where the function is a plain process of the host.
    pub takes: bool,
    /// How often it is started, by one driver; the last start counts.
    pub starts: u64,
    /// How many of these starts are under way at once; then any of them counts.
    pub at_once: usize,
}

const fn probe(
    id: &'static str,
    group: Group,
    letter: Option<Letter>,
    means: &'static str,
) -> Probe {
    Probe {
        id,
        group,
        letter,
        means,
        evidence: Evidence::Told,
        says: Says::Outcome,
        takes: false,
        starts: 1,
        at_once: 1,
    }
}

impl Probe {
    const fn seen(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    const fn says(mut self, says: Says) -> Self {
        self.says = says;
        self
    }

    const fn takes(mut self) -> Self {
        self.takes = true;
        self
    }

    const fn starts(mut self, starts: u64) -> Self {
        self.starts = starts;
        self
    }

    const fn two_at_once(mut self) -> Self {
        self.starts = 2;
        self.at_once = 2;
        self
    }
}

use Group::{Files, Network, Privileges, Processes};

/// All probes, in the order of the tables; those that take as much as they get come after what tells whether they may.
#[rustfmt::skip]
pub const PROBES: &[Probe] = &[
    probe("read-shadow", Files, Some(Letter::Files), "reads the host's /etc/shadow"),
    probe("read-planted", Files, Some(Letter::Files), "reads a file that was planted outside"),
    probe("read-device", Files, Some(Letter::Files), "reads a block device of the host"),
    probe("write-outside", Files, Some(Letter::Files), "makes a file outside").seen(Evidence::FileMade),
    probe("follow-link", Files, Some(Letter::Files), "follows a link that leads outside"),
    probe("see-processes", Processes, None, "sees a process of the host"),
    probe("signal-process", Processes, Some(Letter::Privileges), "signals a process of the host").seen(Evidence::Signalled),
    probe("read-process-memory", Processes, Some(Letter::Memory), "reads the memory of a process of the host"),
    probe("leftovers", Processes, Some(Letter::Memory), "finds what an earlier start left in memory").starts(3),
    probe("fill-disk", Files, None, "writes 64 MiB somewhere: no quota below that").takes(),
    probe("allocate", Processes, None, "takes and touches 512 MiB: no limit below that").takes(),
    probe("fork", Processes, None, "has 200 processes at once: no limit below that").takes(),
    probe("reach-loopback", Network, Some(Letter::Network), "speaks to a listener on the host's loopback").seen(Evidence::Connected),
    probe("reach-host", Network, Some(Letter::Network), "speaks to a listener on another address of the host").seen(Evidence::Connected),
    probe("reach-neighbour", Network, Some(Letter::Network), "speaks to another start of the same rung").two_at_once(),
    probe("network-rate", Network, None, "Mbit a second that pass to the host, for a second").seen(Evidence::Passed).says(Says::Counted),
    probe("raw-socket", Network, None, "opens a raw socket on the host's kernel"),
    probe("set-user", Privileges, None, "becomes another user"),
    probe("mount", Privileges, Some(Letter::Privileges), "mounts a file system"),
    probe("load-module", Privileges, Some(Letter::Privileges), "may load a module"),
    probe("keyctl", Privileges, Some(Letter::SystemCalls), "gets at a keyring that others share"),
    probe("bpf", Privileges, Some(Letter::SystemCalls), "makes a map for programs in the kernel"),
    probe("unshare", Privileges, Some(Letter::SystemCalls), "makes namespaces of its own"),
    probe("userfaultfd", Privileges, Some(Letter::SystemCalls), "handles page faults of the kernel"),
    probe("capabilities", Privileges, None, "capabilities in effect").says(Says::Number),
    probe("seccomp-mode", Privileges, None, "seccomp: 0 none, 2 a filter").says(Says::Number),
    probe("no-new-privileges", Privileges, None, "no_new_privs: 1 if set").says(Says::Number),
    probe("system-calls", Privileges, None, "system calls that answer otherwise than ENOSYS or EPERM").says(Says::LargeNumber),
];

/// The probe `id`.
#[must_use]
pub fn probe_named(id: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Programs that are no probes.
    const OTHERS: [&str; 2] = ["victim", "aggressor"];

    #[test]
    fn every_source_is_a_probe_and_every_probe_has_one() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/isolation");
        let entries = fs::read_dir(directory).expect("the sources").flatten();
        let names = entries.filter_map(|e| e.file_name().into_string().ok());
        let sources: BTreeSet<String> = names
            .filter_map(|n| n.strip_suffix(".c").map(str::to_owned))
            .collect();
        let listed = PROBES.iter().map(|p| p.id).chain(OTHERS);
        let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        assert_eq!(sources, listed);
        assert_eq!(listed.len(), PROBES.len() + OTHERS.len());
    }
}
