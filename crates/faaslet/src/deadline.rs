//! Deadlines that cost running code nothing: no counter, no check in it.
//!
//! One thread per engine, the watcher, looks at all starts under way every tick, and sends [`POKE`] to the thread of each that is
//! past its deadline. The signal's handler runs on that thread and looks where it was interrupted. In a function of
//! the program it has the thread go on at a trapping instruction instead, which the engine turns into a trap as it
//! does any other: control returns to whoever called the program, and its instance is dropped. In the host or in a
//! trampoline, where a lock may be held or a call half made, it changes nothing; the next tick asks again.
//!
//! That a trap may come at any instruction is sound because nothing survives it: all that a program's own code
//! writes is its memory, table and globals, which are dropped with the instance, and the engine returns to the frame
//! of its entry without asking anything of the frames between.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use second_engine::abi::Status;
use slab::Slab;
use wasmtime::{Engine, Module};

use crate::error::WatcherError;
use crate::escape::Escape;
use crate::registers;

/// Ignored where nobody handles it, and rarely used for what it was meant for: out-of-band data on a socket.
const POKE: Signal = Signal::SIGURG;

/// After a signal to the process, how long starts under way may take to end by themselves.
const GRACE: Duration = Duration::from_secs(1);

/// `(module (func unreachable))`
const TRAP_WASM: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// Where a program's own functions lie, and where to go on instead.
#[derive(Default)]
pub(crate) struct Code {
    /// Sorted; functions next to each other are one range.
    functions: Vec<Range<usize>>,
    trap_pc: usize,
    /// Both must stay where they are.
    _modules: Vec<Module>,
}

impl Code {
    fn contains(&self, pc: usize) -> bool {
        let after = self.functions.partition_point(|range| range.start <= pc);
        after > 0 && pc < self.functions[after - 1].end
    }
}

/// Functions of `module` in memory. Its trampolines, which lie between them and the host, are not among them.
fn functions(module: &Module) -> Vec<Range<usize>> {
    let base = module.text().as_ptr().addr();
    let mut ranges: Vec<Range<usize>> = module
        .functions()
        .map(|function| base + function.offset..base + function.offset + function.len)
        .collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        // What lies between is padding: no trampoline is as short.
        let adjacent = next.start - range.end < 16;
        if adjacent {
            range.end = next.end;
        }
        adjacent
    });
    ranges
}

/// One start and its deadline.
pub(crate) struct Watch {
    code: Arc<Code>,
    limit_ns: u64,
    /// By `CLOCK_MONOTONIC`.
    deadline_ns: AtomicU64,
    missed: AtomicBool,
    /// Where a library that runs can be left.
    escape: AtomicPtr<Escape>,
}

impl Watch {
    /// `run` runs a library that can be left by `escape`.
    pub(crate) fn escapable<T>(&self, escape: &Escape, run: impl FnOnce() -> T) -> T {
        self.escape
            .store(ptr::from_ref(escape).cast_mut(), Ordering::Relaxed);
        let result = run();
        self.escape.store(ptr::null_mut(), Ordering::Relaxed);
        result
    }

    fn escape(&self) -> Option<&Escape> {
        // SAFETY: it is there as long as `escapable` runs, on the one thread that asks.
        unsafe { self.escape.load(Ordering::Relaxed).as_ref() }
    }

    /// Time spent in `blocked` does not count, and after it the limit begins anew.
    pub(crate) fn pause<T>(&self, blocked: impl FnOnce() -> T) -> T {
        self.deadline_ns.store(u64::MAX, Ordering::Relaxed);
        let result = blocked();
        self.begin();
        result
    }

    /// Whether its program was ended because of it.
    pub(crate) fn missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        let deadline_ns = now_ns().saturating_add(self.limit_ns);
        self.deadline_ns.store(deadline_ns, Ordering::Relaxed);
    }
}

thread_local! {
    /// The start that runs on this thread. Without a destructor, hence no more than a load for the handler.
    static CURRENT: Cell<*const Watch> = const { Cell::new(ptr::null()) };
}

/// A start whose deadline is kept, until this is dropped.
pub(crate) struct Watched<'a> {
    state: &'a State,
    key: usize,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        // Out of the list, so that the watcher pokes no thread that has ended; gone only when no handler looks at it.
        let _start = self.state.starts().remove(self.key);
        CURRENT.set(ptr::null());
    }
}

/// The watcher of one engine.
pub(crate) struct Deadlines {
    state: Arc<State>,
    trap: Module,
    trap_pc: usize,
    watcher: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    cut: AtomicBool,
    starts: Mutex<Slab<(Pthread, Arc<Watch>)>>,
}

impl State {
    fn starts(&self) -> MutexGuard<'_, Slab<(Pthread, Arc<Watch>)>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pokes whoever is late.
    fn look(&self) {
        let cut = self.cut.load(Ordering::Relaxed);
        let now = now_ns();
        for (_, (thread, watch)) in &*self.starts() {
            if cut {
                watch.deadline_ns.store(0, Ordering::Relaxed);
            }
            if watch.deadline_ns.load(Ordering::Relaxed) <= now {
                // The thread lives: it would have to take itself out of the list first.
                let _ = pthread_kill(*thread, POKE);
            }
        }
    }
}

impl Deadlines {
    /// Starts the watcher, which looks every `tick`.
    pub(crate) fn start(engine: &Engine, tick: Duration) -> Result<Self, WatcherError> {
        let trap =
            Module::new(engine, TRAP_WASM).map_err(|e| WatcherError::Compile(format!("{e:#}")))?;
        let trap_pc = functions(&trap)
            .first()
            .and_then(|stub| trap_in(&trap, stub))
            .ok_or(WatcherError::Trap)?;
        handle_pokes().map_err(|e| WatcherError::Handler(e.into()))?;
        let state = Arc::new(State::default());
        let theirs = state.clone();
        let watcher = thread::Builder::new()
            .name("deadlines".to_owned())
            .stack_size(64 << 10)
            .spawn(move || {
                let mut interrupted: Option<Instant> = None;
                while !theirs.stop.load(Ordering::Relaxed) {
                    thread::park_timeout(tick);
                    if interrupt::received().is_some()
                        && interrupted.get_or_insert_with(Instant::now).elapsed() >= GRACE
                    {
                        theirs.cut.store(true, Ordering::Relaxed);
                    }
                    theirs.look();
                }
            })
            .map_err(WatcherError::Thread)?;
        Ok(Self {
            state,
            trap,
            trap_pc,
            watcher: Some(watcher),
        })
    }

    /// What it needs to know of `module`, a module of its engine.
    pub(crate) fn code(&self, module: &Module) -> Arc<Code> {
        Arc::new(Code {
            functions: functions(module),
            trap_pc: self.trap_pc,
            _modules: vec![module.clone(), self.trap.clone()],
        })
    }

    /// A start of `code` that may take `limit` from when it [runs](Self::keep).
    pub(crate) fn watch(code: &Arc<Code>, limit: Duration) -> Arc<Watch> {
        Arc::new(Watch {
            code: code.clone(),
            limit_ns: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
            deadline_ns: AtomicU64::new(u64::MAX),
            missed: AtomicBool::new(false),
            escape: AtomicPtr::default(),
        })
    }

    /// Keeps the deadline of a start that runs on this thread, from now until the result is dropped.
    pub(crate) fn keep(&self, watch: &Arc<Watch>) -> Watched<'_> {
        watch.begin();
        CURRENT.set(Arc::as_ptr(watch));
        let key = self.state.starts().insert((pthread_self(), watch.clone()));
        Watched {
            state: &self.state,
            key,
        }
    }

    /// Whether starts under way were cut short because of a signal to the process.
    pub(crate) fn cut_short(&self) -> bool {
        self.state.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // It cannot panic; and if it did, there is nothing left to watch.
            let _ = watcher.join();
        }
    }
}

fn handle_pokes() -> nix::Result<()> {
    // On the signal stack, as a program may have used up its own; and calls that were interrupted go on.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::SigAction(poked), flags, SigSet::empty());
    // SAFETY: `poked` only reads a clock, atomics and a thread-local without a destructor.
    unsafe { sigaction(POKE, &action) }.map(|_| ())
}

/// On the thread of a start that may be late.
extern "C" fn poked(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: where it is not null it is the start that runs on this thread, which cannot end meanwhile.
    let Some(watch) = (unsafe { CURRENT.get().as_ref() }) else {
        return;
    };
    if now_ns() < watch.deadline_ns.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the kernel passes a handler with SA_SIGINFO what it will restore, the handler's alone.
    let context = unsafe { &mut *context.cast::<ucontext_t>() };
    if let Some(escape) = watch.escape()
        && escape.leave(context, Status::Late)
    {
        watch.missed.store(true, Ordering::Relaxed);
        return;
    }
    if watch.code.contains(registers::pc(context)) {
        watch.missed.store(true, Ordering::Relaxed);
        registers::set_pc(context, watch.code.trap_pc);
    }
}

/// Where the library that runs on this thread can be left, for a handler of signals.
pub(crate) fn escape() -> Option<&'static Escape> {
    // SAFETY: where they are not null they are those of the start that runs on this thread, and outlive a handler on it.
    let watch: Option<&'static Watch> = unsafe { CURRENT.get().as_ref() };
    watch.and_then(Watch::escape)
}

/// The trapping instruction of the function `stub`: `ud2`, or `udf` with the engine's mark.
fn trap_in(module: &Module, stub: &Range<usize>) -> Option<usize> {
    let trap: &[u8] = if cfg!(target_arch = "x86_64") {
        &[0x0f, 0x0b]
    } else {
        &[0x1f, 0xc1, 0, 0]
    };
    let offset = stub.start - module.text().as_ptr().addr();
    let code = module.text().get(offset..offset + stub.len())?;
    let at = code.windows(trap.len()).position(|bytes| bytes == trap)?;
    Some(stub.start + at)
}
