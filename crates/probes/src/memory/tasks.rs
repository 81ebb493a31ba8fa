//! Which processes there are, who their parents are, and what they are called.
//!
//! Not `/proc/PID/task/*/children`: that list may miss a child when a sibling ends while it is read
//! (proc(5)), and it costs more per process than either way here.

use nix::errno::Errno;

use super::proc_dir::ProcDir;
use super::task::{Comm, Task};
use super::taskstats::Taskstats;

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
pub(super) fn parse_stat(text: &[u8]) -> Option<Task> {
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

    proptest! {
        #[test]
        fn no_stat_line_panics(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_stat(&text);
        }
    }
}
