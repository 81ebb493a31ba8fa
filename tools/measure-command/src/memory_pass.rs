//! Peak memory of the command's process tree in one run.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::CommandError;
use super::program::{self, Program, ProgramError};
use super::trace::{self, Events};
use super::tree;
use probes::kernel_memory::resident_peak_of;
use probes::memory::{Memory, MemoryError, Sampler};

/// Shortest time between two samples.
const INTERVAL: Duration = Duration::from_millis(1);
/// A pass over many processes takes its time; the sampler rests this many times as long after each.
const REST: u32 = 4;

/// The most memory that one run was seen to hold.
#[derive(Debug)]
pub(super) struct Peak {
    /// Largest sum of PSS over the tree of any sample.
    pub(super) pss_bytes: Result<u64, NoPeak>,
    /// Largest sum of RSS over the tree of any sample, or of one process by the kernel's own peak if
    /// that is larger.
    pub(super) rss_bytes: Result<u64, NoPeak>,
    /// The kernel's own peak (`VmHWM`) of the largest process.
    pub(super) process_rss_bytes: Result<u64, NoPeak>,
    /// How often the tree was weighed.
    pub(super) samples: u32,
    /// How many processes it had in all.
    pub(super) processes: u32,
    /// Then nothing was weighed at its exit.
    pub(super) untraced: Option<Untraced>,
}

/// Why the peak of a run is not known.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NoPeak {
    #[error(transparent)]
    Incomplete(#[from] MemoryError),
    #[error("it ended before a sample was taken; {0}")]
    TooShort(Untraced),
    #[error("it was killed before it could be weighed")]
    Killed,
    #[error("no process was seen at its exit")]
    NoExit,
    /// `ru_maxrss` includes what the child borrowed of us before it execed.
    #[error(
        "the kernel's peak ({0} bytes) may be that of measure-core itself, whose memory a child borrows until it execs; allow ptrace"
    )]
    Borrowed(u64),
}

/// Why the command could not be traced.
#[derive(Debug, Clone, thiserror::Error)]
#[error("ptrace is refused ({0}), run as root or allow it (kernel.yama.ptrace_scope, seccomp)")]
pub(super) struct Untraced(#[source] Arc<io::Error>);

/// Runs the program once.
///
/// # Errors
/// It cannot be started, or this kernel cannot tell memory at all.
pub(super) fn run(program: &Program) -> Result<(ExitStatus, Peak), CommandError> {
    let watch = Watch::default();
    let (mut own, background) = (Sampler::new()?, Sampler::new()?);
    thread::scope(|scope| {
        let sampling = scope.spawn(|| watch.sample_until_done(background));
        let outcome = run_watched(program, &watch, &mut own);
        tree::ended();
        watch.done.store(true, Ordering::Release);
        sampling.thread().unpark();
        outcome
    })
}

fn run_watched(
    program: &Program,
    watch: &Watch,
    own: &mut Sampler,
) -> Result<(ExitStatus, Peak), CommandError> {
    let kernel = |what| move |errno| CommandError::Kernel { what, errno };
    match start(program, true) {
        Ok(child) => {
            let root = child.id().cast_signed();
            tree::started(root);
            let mut observer = Observer {
                watch,
                sampler: own,
            };
            let status = trace::follow(root, &mut observer)
                .map_err(kernel("follow the command with ptrace"))?;
            Ok((status, watch.peak(None)))
        }
        Err(refused) => {
            let child = start(program, false).map_err(|error| ProgramError::Start {
                path: program.path(),
                errno: Errno::from_raw(error.raw_os_error().unwrap_or_default()),
            })?;
            let root = child.id().cast_signed();
            tree::started(root);
            lock(&watch.live).untraced_root = Some(root);
            let (status, usage) =
                program::wait(Pid::from_raw(root)).map_err(kernel("wait for the command"))?;
            let mut peak = watch.peak(Some(Untraced(Arc::new(refused))));
            let own = resident_peak_of(nix::unistd::getpid().as_raw()).unwrap_or(u64::MAX);
            peak.process_rss_bytes = match usage.max_rss_bytes {
                bytes if bytes > own => Ok(bytes),
                bytes => Err(NoPeak::Borrowed(bytes)),
            };
            Ok((status, peak))
        }
    }
}

fn start(program: &Program, traced: bool) -> io::Result<Child> {
    let mut command = program.command()?;
    if traced {
        // SAFETY: runs in the forked child; ptrace(2) is a plain system call, safe there.
        unsafe {
            command.pre_exec(|| trace::allow_tracing().map_err(Into::into));
        }
    }
    command.spawn()
}

/// What the tracer and the sampler share.
#[derive(Default)]
struct Watch {
    live: Mutex<Live>,
    best: Mutex<Best>,
    done: AtomicBool,
}

#[derive(Default)]
struct Live {
    processes: BTreeSet<i32>,
    /// Of those, the ones that use their parent's memory until they exec: weighed, it would count
    /// twice.
    borrowing: BTreeSet<i32>,
    untraced_root: Option<i32>,
    ever: u32,
}

#[derive(Default)]
struct Best {
    pss_bytes: u64,
    rss_bytes: u64,
    process_rss_bytes: Option<u64>,
    samples: u32,
    incomplete: Option<MemoryError>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    fn sample_until_done(&self, mut sampler: Sampler) {
        while !self.done.load(Ordering::Acquire) {
            let begun = Instant::now();
            self.sample(&mut sampler);
            thread::park_timeout(INTERVAL.max(begun.elapsed() * REST));
        }
    }

    /// Weighs the tree once.
    fn sample(&self, sampler: &mut Sampler) {
        let (pids, untraced_root): (Vec<i32>, _) = {
            let live = lock(&self.live);
            let own = live.processes.difference(&live.borrowing).copied();
            (own.collect(), live.untraced_root)
        };
        if let Some(root) = untraced_root {
            let walk = sampler.sample_trees(&[root]);
            if !walk.processes.is_empty() {
                self.weighed(walk.sum(), None);
            }
            return;
        }
        let (mut read, mut incomplete) = (Vec::new(), None);
        for pid in pids {
            match sampler.of_process(pid) {
                Ok(memory) => read.push(memory),
                Err(MemoryError::Gone(_) | MemoryError::WithoutMemory(_)) => {}
                Err(error) => incomplete = Some(error),
            }
        }
        if !read.is_empty() || incomplete.is_some() {
            self.weighed(read.into_iter().sum(), incomplete);
        }
    }

    fn weighed(&self, sum: Memory, incomplete: Option<MemoryError>) {
        let mut best = lock(&self.best);
        best.samples += 1;
        best.pss_bytes = best.pss_bytes.max(sum.pss_bytes);
        best.rss_bytes = best.rss_bytes.max(sum.rss_bytes);
        if best.incomplete.is_none() {
            best.incomplete = incomplete;
        }
    }

    fn peak(&self, untraced: Option<Untraced>) -> Peak {
        let best = lock(&self.best);
        let why = match (&best.incomplete, &untraced) {
            (Some(error), _) => Some(NoPeak::Incomplete(error.clone())),
            (None, _) if best.samples > 0 => None,
            (None, Some(why)) => Some(NoPeak::TooShort(why.clone())),
            (None, None) => Some(NoPeak::Killed),
        };
        let sampled = |bytes: u64| why.clone().map_or(Ok(bytes), Err);
        let of_one = best.process_rss_bytes.unwrap_or(0);
        Peak {
            pss_bytes: sampled(best.pss_bytes),
            rss_bytes: sampled(best.rss_bytes.max(of_one)),
            process_rss_bytes: best.process_rss_bytes.ok_or(NoPeak::NoExit),
            samples: best.samples,
            processes: lock(&self.live).ever,
            untraced,
        }
    }
}

/// The tracer's side.
struct Observer<'a> {
    watch: &'a Watch,
    sampler: &'a mut Sampler,
}

impl Events for Observer<'_> {
    fn started(&mut self, pid: i32, borrows: bool) {
        let mut live = lock(&self.watch.live);
        live.ever += 1;
        live.processes.insert(pid);
        if borrows {
            live.borrowing.insert(pid);
        }
    }

    fn execed(&mut self, pid: i32) {
        lock(&self.watch.live).borrowing.remove(&pid);
    }

    fn exiting(&mut self, pid: i32) {
        if lock(&self.watch.live).borrowing.contains(&pid) {
            return;
        }
        let peak = resident_peak_of(pid);
        {
            let mut best = lock(&self.watch.best);
            best.process_rss_bytes = best.process_rss_bytes.max(peak);
        }
        self.watch.sample(self.sampler);
    }

    fn gone(&mut self, pid: i32) {
        let mut live = lock(&self.watch.live);
        live.processes.remove(&pid);
        live.borrowing.remove(&pid);
    }
}
