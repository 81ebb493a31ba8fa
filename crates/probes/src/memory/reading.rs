//! Reading many processes, by one thread or several.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::errno::Errno;

use super::proc_dir::ProcDir;
use super::tasks::exists;
use super::{Memory, rollup};

/// Lowest and highest mapped address.
pub(super) type AddressRange = Option<(u64, u64)>;

/// Processes that a thread takes at a time: enough to make the sharing cheap, few enough for all
/// threads to end together.
const BLOCK: usize = 16;

/// What reading one process came to.
#[derive(Debug)]
pub(super) enum Reading {
    Memory(Memory, AddressRange),
    Vanished,
    WithoutMemory,
    Denied,
    Unreadable(String),
}

/// Reads one process.
pub(super) fn read(proc: &mut ProcDir, pid: i32) -> Reading {
    match read_once(proc, pid) {
        // An exec between open and read looks the same; it does not at the second try.
        Reading::WithoutMemory => read_once(proc, pid),
        reading => reading,
    }
}

fn read_once(proc: &mut ProcDir, pid: i32) -> Reading {
    match proc.read(pid, "smaps_rollup") {
        Ok([]) => Reading::WithoutMemory,
        Ok(text) => match rollup::parse(text) {
            Ok(memory) => Reading::Memory(memory, rollup::address_range(text)),
            Err(missing) => Reading::Unreadable(missing.to_string()),
        },
        // Opening says ENOENT for what is gone; reading says ESRCH for that and for what has no
        // address space.
        Err(Errno::ENOENT | Errno::ESRCH) => {
            if exists(proc, pid) {
                Reading::WithoutMemory
            } else {
                Reading::Vanished
            }
        }
        Err(Errno::EACCES | Errno::EPERM) => Reading::Denied,
        Err(error) => Reading::Unreadable(error.desc().to_owned()),
    }
}

/// Reads `pids`, one reading for each in their order, with as many threads as there are `readers` if
/// there is enough to do.
pub(super) fn read_all(readers: &mut [ProcDir], pids: &[i32]) -> Vec<Reading> {
    let useful = pids
        .len()
        .div_ceil(2 * BLOCK)
        .clamp(1, readers.len().max(1));
    let next = AtomicUsize::new(0);
    let Some((own, others)) = readers[..useful].split_first_mut() else {
        return Vec::new();
    };
    if others.is_empty() {
        return pids.iter().map(|&pid| read(own, pid)).collect();
    }
    let mut blocks = thread::scope(|scope| {
        let workers: Vec<_> = others
            .iter_mut()
            .map(|reader| scope.spawn(|| read_blocks(reader, pids, &next)))
            .collect();
        let mut blocks = read_blocks(own, pids, &next);
        for worker in workers {
            // A worker has nothing to panic about; were it to, its panic is ours.
            match worker.join() {
                Ok(more) => blocks.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        blocks
    });
    blocks.sort_unstable_by_key(|(start, _)| *start);
    blocks.into_iter().flat_map(|(_, block)| block).collect()
}

/// Takes blocks off `pids` until none is left; each with where it starts.
fn read_blocks(proc: &mut ProcDir, pids: &[i32], next: &AtomicUsize) -> Vec<(usize, Vec<Reading>)> {
    let mut done = Vec::new();
    loop {
        let start = next.fetch_add(BLOCK, Ordering::Relaxed);
        if start >= pids.len() {
            return done;
        }
        let block = &pids[start..pids.len().min(start + BLOCK)];
        done.push((start, block.iter().map(|&pid| read(proc, pid)).collect()));
    }
}
