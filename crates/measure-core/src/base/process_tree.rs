//! Who descends from whom, from one pass over /proc.
//!
//! Not from `/proc/PID/task/*/children`, which may miss a child while a sibling ends (proc(5)).

use procfs::process::{Process, all_processes};

/// The processes of the trees below `roots`, roots included, ascending, from one pass over /proc.
#[must_use]
pub fn processes_below(roots: &[i32]) -> Vec<i32> {
    let alive = pids_with_parents();
    let found = descendants(&alive, |&ids| ids, roots, &mut Scratch::default());
    let mut pids: Vec<i32> = found.into_iter().map(|index| alive[index].0).collect();
    pids.sort_unstable();
    pids
}

/// The children of process `pid`, whichever of its threads made them, zombies included.
#[must_use]
pub fn children_of(pid: i32) -> Vec<i32> {
    let alive = pids_with_parents().into_iter();
    alive.filter(|ids| ids.1 == pid).map(|ids| ids.0).collect()
}

/// The process that thread `tid` is of, which is `tid` itself for a process's first thread; `None` if it is gone.
#[must_use]
pub fn process_of(tid: i32) -> Option<i32> {
    // A thread has a directory of its own below /proc, though none is listed.
    Some(Process::new(tid).ok()?.status().ok()?.tgid)
}

/// The process that `pid` is a child of; 0 for the first of a pid namespace, `None` if it is gone.
#[must_use]
pub fn parent_of(pid: i32) -> Option<i32> {
    Some(Process::new(pid).ok()?.stat().ok()?.ppid)
}

/// Every process and its parent, ascending.
fn pids_with_parents() -> Vec<(i32, i32)> {
    let processes = all_processes().into_iter().flatten().flatten();
    let ids = |process: Process| Some((process.pid, process.stat().ok()?.ppid));
    let mut alive: Vec<(i32, i32)> = processes.filter_map(ids).collect();
    alive.sort_unstable();
    alive
}

/// What [`descendants`] needs beside its result; kept by whoever calls it again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    order: Vec<u32>,
    within: Vec<bool>,
}

impl Scratch {
    /// Marks the process at `index` as found; `false` if it was already.
    pub fn mark(&mut self, index: usize) -> bool {
        !std::mem::replace(&mut self.within[index], true)
    }
}

/// The descendants of `roots` among `processes`, the roots included, as indices into `processes`: parents before
/// children, and a root inside another's tree once. `ids` tells a process's own id and its parent's; `processes` is
/// sorted by the former. What is found is marked in `scratch`.
pub fn descendants<T>(
    processes: &[T],
    ids: impl Fn(&T) -> (i32, i32),
    roots: &[i32],
    scratch: &mut Scratch,
) -> Vec<usize> {
    let pid_at = |index: usize| ids(&processes[index]).0;
    let parent_at = |index: u32| ids(&processes[index as usize]).1;
    let mut order = std::mem::take(&mut scratch.order);
    order.clear();
    order.extend(0..u32::try_from(processes.len()).unwrap_or(u32::MAX));
    // Siblings in order of their pids, which is the order of `processes`.
    order.sort_unstable_by_key(|&index| (parent_at(index), index));
    scratch.within.clear();
    scratch.within.resize(processes.len(), false);
    let mut found: Vec<usize> = Vec::new();
    for root in roots {
        if let Ok(index) = processes.binary_search_by_key(root, |process| ids(process).0)
            && scratch.mark(index)
        {
            found.push(index);
        }
    }
    let mut at = 0;
    while at < found.len() {
        let parent = pid_at(found[at]);
        let first = order.partition_point(|&index| parent_at(index) < parent);
        for &index in &order[first..] {
            if parent_at(index) != parent {
                break;
            }
            if scratch.mark(index as usize) {
                found.push(index as usize);
            }
        }
        at += 1;
    }
    scratch.order = order;
    found
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tree_holds_grandchildren() {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "sh -c 'echo $$; read x; true' ; true"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let mut output = io::BufReader::new(shell.stdout.take().expect("piped"));
        io::BufRead::read_line(&mut output, &mut line).expect("a pid");
        let inner: i32 = line.trim().parse().expect("a pid");
        let me = nix::unistd::getpid().as_raw();
        let found = processes_below(&[me]);
        let children = children_of(me);
        let parent = parent_of(shell.id().cast_signed());
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
        for pid in [me, shell.id().cast_signed(), inner] {
            assert!(found.contains(&pid), "{pid} in {found:?}");
        }
        assert!(children.contains(&shell.id().cast_signed()) && !children.contains(&inner));
        assert_eq!(parent, Some(me));
        assert_eq!((parent_of(i32::MAX), process_of(i32::MAX)), (None, None));
        assert_eq!(children_of(i32::MAX), Vec::<i32>::new());
        assert_eq!(processes_below(&[i32::MAX]), Vec::<i32>::new());
    }

    #[test]
    fn a_thread_is_of_its_process() {
        let me = nix::unistd::getpid().as_raw();
        let thread = std::thread::spawn(|| process_of(nix::unistd::gettid().as_raw()));
        assert_eq!(thread.join().expect("no panic"), Some(me));
        assert_eq!(process_of(me), Some(me));
    }

    proptest! {
        #[test]
        fn descendants_are_those_whose_ancestors_are_roots(
            parents in proptest::collection::vec(0..40i32, 1..40), roots in proptest::collection::vec(0..45i32, 0..4)
        ) {
            let processes: Vec<(i32, i32)> = (1..).zip(parents).collect();
            let mut found = descendants(&processes, |&ids| ids, &roots, &mut Scratch::default());
            found.sort_unstable();
            let expected: Vec<usize> = (0..processes.len()).filter(|&index| {
                let mut pid = processes[index].0;
                // Longer chains than processes are cycles, which pid reuse between two reads can make.
                (0..=processes.len()).any(|_| {
                    let process = processes.iter().find(|p| p.0 == pid);
                    let hit = process.is_some_and(|p| roots.contains(&p.0));
                    pid = process.map_or(0, |p| p.1);
                    hit
                })
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
