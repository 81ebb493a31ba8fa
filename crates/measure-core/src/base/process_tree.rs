//! Who descends from whom, from one pass over /proc.
//!
//! Not from `/proc/PID/task/*/children`, which may miss a child while a sibling ends (proc(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use procfs::process::Process;

/// The processes of the trees below `roots`, roots included, from one pass over /proc.
pub fn processes_below(roots: &[i32]) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let mut alive = BTreeSet::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
            alive.insert(pid);
        }
    }
    let mut found: BTreeSet<i32> = roots
        .iter()
        .copied()
        .filter(|r| alive.contains(r))
        .collect();
    let mut left: Vec<i32> = found.iter().copied().collect();
    while let Some(pid) = left.pop() {
        for &child in children.get(&pid).into_iter().flatten() {
            if found.insert(child) {
                left.push(child);
            }
        }
    }
    found.into_iter().collect()
}

/// The parent of process `pid`, if that is still there.
fn parent_of(pid: i32) -> Option<i32> {
    Some(Process::new(pid).ok()?.stat().ok()?.ppid)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::process::Command;

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
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
        for pid in [me, shell.id().cast_signed(), inner] {
            assert!(found.contains(&pid), "{pid} in {found:?}");
        }
        assert_eq!(processes_below(&[i32::MAX]), Vec::<i32>::new());
    }
}
