//! Where workers run: each keeps to a processor, and so do the threads that it makes and hands work to.
//!
//! Left to the kernel, a thread that is made or woken goes to another processor whenever that is idle: the start then takes what waking
//! an idle processor takes, which in a virtual machine is longer than all else, or does not, as it happens. And a new thread
//! that is put beside one that computes waits for the next tick, up to 4 ms.
//!
//! A program that is started as a process is not kept anywhere: it begins beside its worker and may go where it likes.

use std::cell::Cell;
use std::fs;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, getpid};

use super::DriverError;
use crate::base::processors::processors_in;

/// The calling thread.
const THIS: Pid = Pid::from_raw(0);

thread_local! {
    static KEPT: Cell<bool> = const { Cell::new(false) };
}

/// What this process may use.
#[derive(Debug)]
struct Allowed {
    set: CpuSet,
    /// In the order in which workers take them: each core's first threads come before the second ones.
    in_turn: Vec<usize>,
}

/// As it was before any thread was kept to a part of it.
fn allowed() -> Result<&'static Allowed, Errno> {
    static ALLOWED: OnceLock<Result<Allowed, Errno>> = OnceLock::new();
    let found = ALLOWED.get_or_init(|| {
        let set = sched_getaffinity(getpid())?;
        let mut in_turn: Vec<usize> = processors_in(&set).collect();
        in_turn.sort_by_key(|&cpu| (rank_in_core(cpu), cpu));
        // One worker alone is not always where the host handles its interrupts.
        let processors = in_turn.len().max(1);
        in_turn.rotate_left(getpid().as_raw().unsigned_abs() as usize % processors);
        Ok(Allowed { set, in_turn })
    });
    found.as_ref().map_err(|&error| error)
}

/// Keeps the calling thread, and those that it makes, to the processor of worker `worker`. Where there are more workers than
/// processors they share them in turn.
///
/// # Errors
/// The kernel refuses: the processor was taken from this process meanwhile.
pub fn keep_to_processor(worker: usize) -> Result<(), Errno> {
    let allowed = allowed()?;
    let Some(&cpu) = allowed.in_turn.get(worker % allowed.in_turn.len().max(1)) else {
        return Ok(());
    };
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(THIS, &one)?;
    KEPT.set(true);
    Ok(())
}

/// [`keep_to_processor`] for who makes starts.
///
/// # Errors
/// As there.
pub(super) fn keep_worker(worker: usize) -> Result<(), DriverError> {
    keep_to_processor(worker).map_err(|e| DriverError::failed("keep a worker to a processor", e))
}

/// Lets the process `pid`, which the calling thread has just started, run wherever this process may.
pub(super) fn let_go(pid: Pid) {
    if KEPT.get()
        && let Ok(allowed) = allowed()
    {
        // It may have ended already.
        let _ = sched_setaffinity(pid, &allowed.set);
    }
}

/// How many hardware threads of its core come before `cpu`.
fn rank_in_core(cpu: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    fs::read_to_string(path).map_or(0, |list| rank_in_list(list.trim(), cpu))
}

/// How many of `list` (as in `0-1,8`) are smaller than `cpu`.
fn rank_in_list(list: &str, cpu: usize) -> usize {
    let below = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        Some(last.saturating_add(1).min(cpu).saturating_sub(first))
    };
    list.split(',').filter_map(below).sum()
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::thread;

    use nix::sys::wait::waitpid;

    use super::*;
    use crate::driver_kit::spawn::Program;

    fn processors(pid: Pid) -> Vec<usize> {
        processors_in(&sched_getaffinity(pid).expect("affinity")).collect()
    }

    #[test]
    fn a_worker_and_its_threads_keep_to_one_processor_and_the_next_worker_to_the_next() {
        let all = processors(getpid());
        let kept = |worker: usize| {
            let worker = thread::spawn(move || {
                keep_to_processor(worker).expect("kept");
                let made = thread::spawn(|| processors(THIS)).join().expect("made");
                assert_eq!(made, processors(THIS));
                made
            });
            worker.join().expect("a worker")
        };
        let mut each: Vec<usize> = (0..all.len()).flat_map(kept).collect();
        each.sort_unstable();
        assert_eq!(each, all, "each its own");
        assert_eq!(kept(0), kept(all.len()), "in turn");
        assert_eq!(processors(getpid()), all, "the others may run anywhere");
    }

    #[test]
    fn a_process_that_a_worker_starts_may_run_anywhere() {
        let all = processors(getpid());
        let worker = thread::spawn(move || {
            keep_to_processor(0).expect("kept");
            let null = File::options().read(true).write(true).open("/dev/null");
            let null = null.expect("/dev/null");
            let words = ["/bin/sleep", "1000"].map(|word| CString::new(word).expect("a word"));
            let program = Program::from_words(words.to_vec()).expect("a program");
            let mut child = program.spawn([null.as_fd(); 3]).expect("started");
            assert_eq!(processors(child.pid()), all);
            child.kill();
            child.reap().expect("reaped");
            let bare = program.spawn_bare(null.as_fd(), null.as_fd());
            let bare = bare.expect("started");
            assert_eq!(processors(bare), all);
            nix::sys::signal::kill(bare, nix::sys::signal::Signal::SIGKILL).expect("killed");
            waitpid(bare, None).expect("ended");
        });
        worker.join().expect("a worker");
    }

    #[test]
    fn the_second_thread_of_a_core_comes_after_its_first() {
        for (list, cpu, rank) in [
            ("0", 0, 0),
            ("0,8", 8, 1),
            ("0,8", 0, 0),
            ("2-3", 3, 1),
            ("0-3,8-9", 8, 4),
            ("", 5, 0),
            ("nonsense", 5, 0),
            ("7-2", 5, 0),
        ] {
            assert_eq!(rank_in_list(list, cpu), rank, "{list}: {cpu}");
        }
    }
}
