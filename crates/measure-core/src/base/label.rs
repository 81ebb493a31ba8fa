//! The mark that everything we make carries, and by which alone things are removed.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, getpid};
use procfs::process::{Process, all_processes};

/// Prefix of every cgroup, network namespace, network device and container name, and the key of
/// the container and image label.
pub const LABEL: &str = "faasm-bench";

/// Inode of the PID namespace that a kernel begins with (`PID_NS_INIT_INO` of linux/nsfs.h), which every other one descends
/// from.
const FIRST_NAMESPACE: u64 = 0xefff_fffc;
/// Of one that cannot be known.
const NO_NAMESPACE: u64 = 0;
/// Between a process's number and its namespace: names of containers, machines and files may all hold a letter.
const IN: char = 'n';

/// A process that makes things: its number, and the PID namespace in which it has that number. Written `<pid>`, or
/// `<pid>n<inode of the namespace>` where that is not the kernel's first one. Things outlive a namespace and are seen from
/// others (cgroups, containers, links, directories), where the same number is another process, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pid: i32,
    namespace: u64,
}

impl Owner {
    /// The calling process.
    #[must_use]
    pub fn this_process() -> Self {
        Self::of_pid(getpid().as_raw())
    }

    /// The process that has the number `pid` for the calling one.
    #[must_use]
    pub fn of_pid(pid: i32) -> Self {
        Self {
            pid,
            namespace: own_namespace(),
        }
    }

    /// Whether it is known to have ended, so that what it made may be removed. Of another namespace that is known only to who
    /// sees all processes: root, or anyone whose `/proc` hides none, in the kernel's first namespace.
    #[must_use]
    pub fn is_gone(self) -> bool {
        if self.namespace == own_namespace() {
            // Not by /proc, which may be that of another namespace.
            return kill(Pid::from_raw(self.pid), None) == Err(Errno::ESRCH);
        }
        self.namespace != NO_NAMESPACE && sees_all() && !self.is_seen_below()
    }

    /// Whether a process below lives that is it, or may be.
    fn is_seen_below(self) -> bool {
        let Ok(processes) = all_processes() else {
            return true;
        };
        processes.flatten().any(|process| self.may_be(&process))
    }

    fn may_be(self, process: &Process) -> bool {
        let Ok(status) = process.status() else {
            return kill(Pid::from_raw(process.pid), None) != Err(Errno::ESRCH);
        };
        // Ended, but for whoever is to ask how; a first thread that has ended may have others that live.
        if status.state.starts_with(['Z', 'X']) && status.threads <= 1 {
            return false;
        }
        // From the first namespace down to its own; one with a number in the first alone is in no other.
        let Some(numbers) = status.nspid else {
            return true;
        };
        let namespace = || namespace_of(&process.pid.to_string());
        // Whose namespace may not be read may be it.
        numbers.len() > 1
            && numbers.last() == Some(&self.pid)
            && namespace().is_none_or(|inode| inode == self.namespace)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace {
            FIRST_NAMESPACE => write!(f, "{}", self.pid),
            other => write!(f, "{}{IN}{other}", self.pid),
        }
    }
}

/// A word that names no owner.
#[derive(Debug, thiserror::Error)]
#[error("no process: neither a process id nor `<process id>n<inode of its namespace>`")]
pub struct NoOwner;

impl FromStr for Owner {
    type Err = NoOwner;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let (pid, namespace) = match word.split_once(IN) {
            Some((pid, inode)) => (pid, inode.parse().map_err(|_| NoOwner)?),
            None => (word, FIRST_NAMESPACE),
        };
        let pid = pid.parse().ok().filter(|&pid: &i32| pid > 0);
        pid.map(|pid| Self { pid, namespace }).ok_or(NoOwner)
    }
}

/// The namespace of the calling process, which it keeps.
fn own_namespace() -> u64 {
    static OWN: OnceLock<u64> = OnceLock::new();
    *OWN.get_or_init(|| namespace_of("self").unwrap_or(NO_NAMESPACE))
}

fn namespace_of(process: &str) -> Option<u64> {
    let file = Path::new("/proc").join(process).join("ns/pid");
    fs::metadata(file).map(|meta| meta.ino()).ok()
}

/// Whether this process's `/proc` shows every process of the kernel.
fn sees_all() -> bool {
    let itself =
        fs::read_link("/proc/self").is_ok_and(|me| me.as_os_str() == getpid().to_string().as_str());
    // Hidden from who is not root where it is mounted with hidepid.
    itself && own_namespace() == FIRST_NAMESPACE && fs::read("/proc/1/status").is_ok()
}

/// The name of something that process `pid` made: `faasm-bench.<owner>.<what>`. The owner tells a later
/// run whether its maker still lives (see [`owner`]).
#[must_use]
pub fn name(pid: i32, what: &str) -> String {
    name_of(Owner::of_pid(pid), what)
}

/// As [`name`], of a process in whatever namespace.
#[must_use]
pub fn name_of(owner: Owner, what: &str) -> String {
    format!("{LABEL}.{owner}.{what}")
}

/// The process that made `name`, if `name` is one of ours.
#[must_use]
pub fn owner(name: &str) -> Option<Owner> {
    let rest = name.strip_prefix(LABEL)?.strip_prefix('.')?;
    rest.split('.').next()?.parse().ok()
}

/// Whether the maker of `name` is gone, so that what it left may be removed. `false` for what is not
/// ours.
#[must_use]
pub fn is_orphan(name: &str) -> bool {
    owner(name).is_some_and(Owner::is_gone)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn elsewhere(pid: i32) -> Owner {
        Owner {
            pid,
            namespace: FIRST_NAMESPACE + 1,
        }
    }

    #[test]
    fn own_names_are_known_and_foreign_ones_are_not() {
        assert_eq!(owner(&name(42, "engine")), Some(Owner::of_pid(42)));
        for foreign in [
            "faasm-benchmark.42.x",
            "docker",
            "faasm-bench",
            "faasm-bench.x.y",
            "faasm-bench.-1.y",
            "faasm-bench.0.y",
            "faasm-bench.42n.y",
            "faasm-bench.n42.y",
        ] {
            assert_eq!(owner(foreign), None, "{foreign}");
            assert!(!is_orphan(foreign));
        }
    }

    #[test]
    fn what_a_living_process_made_is_no_orphan() {
        let me = Owner::this_process();
        assert!(!me.is_gone());
        assert!(!is_orphan(&name_of(me, "x")));
        assert!(is_orphan(&name(i32::MAX, "x")));
    }

    #[test]
    fn a_number_of_another_namespace_is_no_process_of_ours() {
        let other = elsewhere(getpid().as_raw());
        assert_ne!(owner(&name_of(other, "x")), Some(Owner::this_process()));
        // No namespace has that inode now; who sees them all knows.
        assert_eq!(other.is_gone(), sees_all());
        // Nor has its first process, whose number the first process of all has too.
        assert_eq!(elsewhere(1).is_gone(), sees_all());
        let unknown = Owner {
            pid: i32::MAX,
            namespace: NO_NAMESPACE,
        };
        assert!(!unknown.is_gone());
    }

    proptest! {
        #[test]
        fn an_owner_is_read_as_it_is_written(pid in 1..i32::MAX, namespace in any::<u64>(), what in "[a-z0-9./-]{0,20}") {
            let made = Owner { pid, namespace };
            prop_assert_eq!(owner(&name_of(made, &what)), Some(made));
        }
    }
}
