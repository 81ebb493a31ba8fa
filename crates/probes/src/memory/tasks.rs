//! Which processes there are, who their parents are, and what they are called.
//!
//! Not `/proc/PID/task/*/children`: that list may miss a child when a sibling ends while it is read
//! (proc(5)), and it costs more per process than either way here.

use std::fmt;

use nix::errno::Errno;
use serde::{Serialize, Serializer};

use super::proc_dir::ProcDir;
use super::taskstats::Taskstats;

/// A process's name as the kernel keeps it: at most 15 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Comm {
    bytes: [u8; 15],
    len: u8,
}

impl Comm {
    /// The bytes up to the first NUL or newline.
    pub(super) fn new(text: &[u8]) -> Self {
        let mut comm = Self::default();
        let text = text.split(|&b| b == 0 || b == b'\n').next().unwrap_or(&[]);
        for (to, &from) in comm.bytes.iter_mut().zip(text) {
            *to = from;
            comm.len += 1;
        }
        comm
    }

    /// Whether it is `name`, which may be longer than the kernel keeps.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        !name.is_empty() && Self::new(name.as_bytes()) == *self
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl Serialize for Comm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Task {
    pub pid: i32,
    pub ppid: i32,
    pub comm: Comm,
}

/// How tasks are looked up.
#[derive(Debug)]
pub(super) enum Source {
    Taskstats(Box<Taskstats>),
    Stat,
}

impl Source {
    /// The fastest that works here.
    pub fn best() -> Self {
        Taskstats::open().map_or(Self::Stat, |socket| Self::Taskstats(Box::new(socket)))
    }

    /// Looks up those of `pids` that exist; `found` is sorted by pid then.
    pub fn look_up(&mut self, proc: &mut ProcDir, pids: &[i32], found: &mut Vec<Task>) {
        found.clear();
        if let Self::Taskstats(socket) = self
            && socket.query(pids, found).is_err()
        {
            // An answer was lost: what comes next on that socket cannot be trusted.
            *self = Self::Stat;
            found.clear();
        }
        if matches!(self, Self::Stat) {
            found.extend(pids.iter().filter_map(|&pid| {
                let text = proc.read(pid, "stat").ok()?;
                parse_stat(text)
            }));
        }
        found.sort_unstable_by_key(|task| task.pid);
        found.dedup_by_key(|task| task.pid);
    }
}

/// `PID (COMM) STATE PPID ...`; the name may hold anything, brackets and spaces included.
fn parse_stat(text: &[u8]) -> Option<Task> {
    let open = text.iter().position(|&b| b == b'(')?;
    let close = text.iter().rposition(|&b| b == b')')?;
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.trim().parse().ok();
    let mut rest = text.get(close + 2..)?.split(|&b| b == b' ');
    let _state = rest.next()?;
    Some(Task {
        pid: number(&text[..open])?,
        ppid: number(rest.next()?)?,
        comm: Comm::new(text.get(open + 1..close)?),
    })
}

/// Whether `pid` still exists, if only as a zombie or kernel thread.
pub(super) fn exists(proc: &mut ProcDir, pid: i32) -> bool {
    !matches!(proc.read(pid, "stat"), Err(Errno::ENOENT | Errno::ESRCH))
}

/// The descendants of `roots` among `tasks` (sorted by pid), the roots included, as indices into
/// `tasks`; a root inside another's tree comes once. `order` is scratch.
pub(super) fn descendants(
    tasks: &[Task],
    roots: &[i32],
    order: &mut Vec<u32>,
    within: &mut Vec<bool>,
) -> Vec<usize> {
    order.clear();
    order.extend(0..u32::try_from(tasks.len()).unwrap_or(u32::MAX));
    // Siblings in order of their pids, which is the order of `tasks`.
    order.sort_unstable_by_key(|&index| (tasks[index as usize].ppid, index));
    within.clear();
    within.resize(tasks.len(), false);
    let mut found: Vec<usize> = Vec::new();
    for root in roots {
        if let Ok(index) = tasks.binary_search_by_key(root, |task| task.pid)
            && !std::mem::replace(&mut within[index], true)
        {
            found.push(index);
        }
    }
    let mut at = 0;
    while at < found.len() {
        let parent = tasks[found[at]].pid;
        let first = order.partition_point(|&index| tasks[index as usize].ppid < parent);
        for &index in &order[first..] {
            let index = index as usize;
            if tasks[index].ppid != parent {
                break;
            }
            if !std::mem::replace(&mut within[index], true) {
                found.push(index);
            }
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_may_hold_anything() {
        let task = parse_stat(b"12 (a) b (c)) S 7 12 0").expect("a stat line");
        assert_eq!((task.pid, task.ppid), (12, 7));
        assert_eq!(task.comm.to_string(), "a) b (c)");
        assert_eq!(parse_stat(b""), None);
        assert_eq!(parse_stat(b"12 (x)"), None);
    }

    #[test]
    fn long_names_match_what_the_kernel_keeps_of_them() {
        let comm = Comm::new(b"containerd-shim\0\0");
        assert!(comm.is("containerd-shim-runc-v2"));
        assert!(!comm.is("containerd") && !comm.is(""));
    }

    proptest! {
        #[test]
        fn descendants_are_those_whose_ancestors_are_roots(
            parents in proptest::collection::vec(0..40i32, 1..40), roots in proptest::collection::vec(0..45i32, 0..4)
        ) {
            let tasks: Vec<Task> = (1..).zip(&parents)
                .map(|(pid, &ppid)| Task { pid, ppid, comm: Comm::default() })
                .collect();
            let mut found = descendants(&tasks, &roots, &mut Vec::new(), &mut Vec::new());
            found.sort_unstable();
            let expected: Vec<usize> = (0..tasks.len()).filter(|&index| {
                let mut pid = tasks[index].pid;
                // Longer chains than tasks are cycles, which pid reuse between two reads can make.
                (0..=tasks.len()).any(|_| {
                    let task = tasks.iter().find(|t| t.pid == pid);
                    let hit = task.is_some_and(|t| roots.contains(&t.pid));
                    pid = task.map_or(0, |t| t.ppid);
                    hit
                })
            }).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_stat_line_panics(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_stat(&text);
        }
    }
}
