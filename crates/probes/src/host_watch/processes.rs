//! Who worked: CPU time of every process and kernel thread, by one pass over /proc.

use measure_core::base::process_tree::{Scratch, descendants};

use crate::memory::Comm;
use crate::memory::proc_dir::{ProcDir, pids};

/// `PF_KTHREAD` of `linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A process's line; ticks are of `USER_HZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    ppid: i32,
    pub(super) name: Comm,
    is_kernel_thread: bool,
    /// In user mode and in the kernel, of all its threads.
    ticks: u64,
    /// Of the children that it has waited for.
    waited_ticks: u64,
}

/// `PID (COMM) STATE PPID PGRP SESSION TTY TPGID FLAGS MINFLT CMINFLT MAJFLT CMAJFLT UTIME STIME CUTIME CSTIME ...`
fn parse_stat(text: &[u8]) -> Option<Process> {
    let open = text.iter().position(|&b| b == b'(')?;
    let close = text.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().take(15).collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let sum = |first: usize| number(first)?.checked_add(number(first + 1)?);
    Some(Process {
        pid: std::str::from_utf8(&text[..open])
            .ok()?
            .trim()
            .parse()
            .ok()?,
        ppid: fields.get(1)?.parse().ok()?,
        name: Comm::new(text.get(open + 1..close)?),
        is_kernel_thread: number(6)? & KERNEL_THREAD != 0,
        ticks: sum(11)?,
        waited_ticks: sum(13)?,
    })
}

/// Every process of the host, ascending.
#[derive(Debug, Default)]
pub(super) struct Processes(Vec<Process>);

impl Processes {
    /// Empty if there is no /proc.
    pub(super) fn read(proc: Option<&mut ProcDir>) -> Self {
        let mut all = Vec::new();
        let Some(proc) = proc else {
            return Self::default();
        };
        if pids(&mut all).is_err() {
            return Self::default();
        }
        let mut found: Vec<Process> = all
            .into_iter()
            .filter_map(|pid| parse_stat(proc.read(pid, "stat").ok()?))
            .collect();
        found.sort_unstable_by_key(|process| process.pid);
        Self(found)
    }

    fn tree(&self, roots: &[i32]) -> impl Iterator<Item = &Process> {
        let ids = |process: &Process| (process.pid, process.ppid);
        let found = descendants(&self.0, ids, roots, &mut Scratch::default());
        found.into_iter().map(|index| &self.0[index])
    }

    /// Of the trees below `roots`, those included that have ended and were waited for within them.
    pub(super) fn tree_ticks(&self, roots: &[i32]) -> u64 {
        let ticks = |process: &Process| process.ticks + process.waited_ticks;
        self.tree(roots).map(ticks).sum()
    }

    /// Processes in the trees below `roots`.
    pub(super) fn tree_len(&self, roots: &[i32]) -> u64 {
        self.tree(roots).count() as u64
    }

    /// Those that live now, each with its ticks since `earlier`.
    fn since(&self, earlier: &Self) -> impl Iterator<Item = (&Process, u64)> {
        self.0.iter().map(move |now| {
            let then = earlier.0.binary_search_by_key(&now.pid, |p| p.pid);
            let then = then.map_or(0, |index| earlier.0[index].ticks);
            // Less is another process with the same id.
            (now, now.ticks.checked_sub(then).unwrap_or(now.ticks))
        })
    }

    /// Of kernel threads since `earlier`; `None` if none can be seen.
    pub(super) fn kernel_ticks_since(&self, earlier: &Self) -> Option<u64> {
        let threads = self.since(earlier).filter(|(p, _)| p.is_kernel_thread);
        threads
            .map(|(_, ticks)| ticks)
            .reduce(|sum, ticks| sum + ticks)
    }

    /// The process that worked most since `earlier`, and its ticks; none of the trees below `roots` and of `others`.
    pub(super) fn busiest_since(
        &self,
        earlier: &Self,
        roots: &[i32],
        others: &[i32],
    ) -> Option<(&Process, u64)> {
        let ours: Vec<i32> = self.tree(roots).map(|process| process.pid).collect();
        let is_other =
            |p: &Process| !p.is_kernel_thread && !ours.contains(&p.pid) && !others.contains(&p.pid);
        self.since(earlier)
            .filter(|&(process, ticks)| ticks > 0 && is_other(process))
            .max_by_key(|&(_, ticks)| ticks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn process(pid: i32, ppid: i32, ticks: u64) -> Process {
        Process {
            pid,
            ppid,
            name: Comm::new(b"x"),
            is_kernel_thread: ppid == 2,
            ticks,
            waited_ticks: 1,
        }
    }

    #[test]
    fn a_line_is_read_whatever_the_process_is_called() {
        let line = b"12 (a) (b c) S 7 12 12 0 -1 4194560 9 8 7 6 30 12 5 4 20 0 1 0 99";
        let found = parse_stat(line).expect("a stat line");
        assert_eq!((found.pid, found.ppid), (12, 7));
        assert_eq!(found.name.to_string(), "a) (b c");
        assert_eq!((found.ticks, found.waited_ticks), (42, 9));
        assert!(!found.is_kernel_thread);
        let thread = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 7 0 0 20 0 1 0 1";
        assert!(parse_stat(thread).expect("a stat line").is_kernel_thread);
        for bad in [&b""[..], b"12 (x)", b"12 (x) S 7 12 12 0 -1 0 9 8 7 6 30"] {
            assert_eq!(parse_stat(bad), None);
        }
    }

    #[test]
    fn work_is_that_since_and_of_the_right_ones() {
        let then = Processes(vec![process(2, 0, 9), process(3, 2, 5), process(10, 1, 50)]);
        let now = Processes(vec![
            process(2, 0, 9),
            process(3, 2, 6),
            process(4, 2, 2),
            process(10, 1, 51),
            process(11, 10, 70),
            process(12, 1, 4),
        ]);
        // Of the thread that is new, all.
        assert_eq!(now.kernel_ticks_since(&then), Some(3));
        assert_eq!(now.tree_ticks(&[10]), 51 + 70 + 2);
        let busiest = |roots: &[i32], others: &[i32]| {
            let found = now.busiest_since(&then, roots, others)?;
            Some((found.0.pid, found.1))
        };
        assert_eq!(busiest(&[], &[]), Some((11, 70)));
        assert_eq!(busiest(&[10], &[]), Some((12, 4)));
        assert_eq!(busiest(&[10], &[12]), None);
        assert_eq!(Processes::default().kernel_ticks_since(&then), None);
    }

    proptest! {
        #[test]
        fn no_line_panics(text in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse_stat(&text);
        }

        #[test]
        fn no_number_panics(numbers in proptest::collection::vec(any::<u64>(), 15)) {
            let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let _ = parse_stat(format!("1 (x) S {}", words.join(" ")).as_bytes());
        }
    }
}
