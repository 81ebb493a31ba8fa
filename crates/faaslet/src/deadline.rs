//! Deadlines that cost running code nothing: no counter, no check in it.
//!
//! One thread per engine, the watcher, looks at all starts under way every tick, marks those that are past their deadline as late,
//! and sends [`POKE`] to the thread of each, again every [`RETRY`] until it has ended. The signal's handler runs on that
//! thread and looks where it was interrupted. In a function of the program it has the thread go on at a trapping
//! instruction instead, which the engine turns into a trap as it does any other: control returns to whoever called the
//! program, and its instance is dropped. In the host or in a trampoline, where a lock may be held or a call half made, it
//! changes nothing.
//!
//! **That a trap may come at any instruction is sound because nothing looks at what it interrupts.**
//! * The frames: registers and stack of the program may hold anything there; while a tail call moves its frame, the frame
//!   pointer is a value of the guest's. The engine's handler reads none of them: with no backtrace
//!   ([`EngineSettings::config`](crate::EngineSettings::config)) it takes program counter (that of our instruction) for the kind of
//!   the trap, and stack pointer, frame pointer and address to go on at from where the entry into the program had put them.
//! * The locks: it allocates, and reads the list of loaded code. The program's own functions hold no lock.
//! * The state: all that they write is the program's memory, table and globals, which are dropped with the instance.
//!
//! **That a late start ends is sound because all that leaves its functions comes back within a bounded time, and is asked then.**
//! Functions of WASI ask on their way back ([`Watch::in_time`]), and in loops of their own; so does the engine where a
//! memory or table grows ([`Host`](crate::host::Host)). Instructions for which the engine calls the host are replaced before it
//! compiles them ([`bulk`](crate::bulk)). What is left are functions without a loop: the first use of a table's element, and, on a CPU
//! that lacks the instruction, roundings and multiply-adds; between them lies code of the program, which a poke meets.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use libc::{c_int, c_void, siginfo_t, ucontext_t};
use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use second_engine::abi::Status;
use slab::Slab;
use wasmtime::{Engine, EngineWeak, Module};

use crate::error::{Stop, WatcherError};
use crate::escape::Escape;
use crate::library;
use crate::registers;
use crate::trace::Trace;

/// Ignored where nobody handles it, and rarely used for what it was meant for: out-of-band data on a socket.
const POKE: Signal = Signal::SIGURG;

/// After a signal to the process, how long starts under way may take to end by themselves.
const GRACE: Duration = Duration::from_millis(50);

/// How often a late start is poked until it has ended.
const RETRY: Duration = Duration::from_millis(1);

/// Deadline of a start that was found late, whatever it was before.
const LATE: u64 = 0;

/// `(module (func unreachable))`
const TRAP_WASM: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x05\x01\x03\0\0\x0b";

/// Where a program's own functions lie, and where to go on instead.
#[derive(Default)]
pub(crate) struct Code {
    /// Sorted; functions next to each other are one range.
    functions: Vec<Range<usize>>,
    trap_pc: usize,
    /// Its module and the one that traps, which must stay where they are.
    modules: Vec<Module>,
}

impl Code {
    /// The program's module.
    pub(crate) fn module(&self) -> Option<&Module> {
        self.modules.first()
    }

    pub(crate) fn contains(&self, pc: usize) -> bool {
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
    pub(crate) code: Arc<Code>,
    limit_ns: u64,
    /// By `CLOCK_MONOTONIC`; [`LATE`] once the watcher has found it passed.
    deadline_ns: AtomicU64,
    missed: AtomicBool,
    /// Where a library that runs can be left.
    escape: AtomicPtr<Escape>,
    /// The frames of the program lie below this address.
    stack_top: AtomicUsize,
    /// Where it trapped.
    pub(crate) trace: Trace,
    /// Of a component: what it waits by.
    waker: Option<Box<AtomicWaker>>,
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
    ///
    /// # Errors
    /// It is late before.
    pub(crate) fn pause<T>(&self, blocked: impl FnOnce() -> T) -> Result<T, Stop> {
        let now = now_ns();
        let relaxed = Ordering::Relaxed;
        self.deadline_ns
            .fetch_update(relaxed, relaxed, |ns| (ns > now).then_some(u64::MAX))
            .map_err(|_| Stop::Deadline)?;
        let result = blocked();
        self.begin();
        Ok(result)
    }

    /// As long as what is returned is kept, time does not count; after it the limit goes on where it was. What is late stays so.
    pub(crate) fn paused(&self) -> Paused<'_> {
        let remaining_ns = self.remaining().as_nanos();
        let relaxed = Ordering::Relaxed;
        // Unless it is late; and one of two at once ends for both.
        let pause = |ns| (ns != LATE && ns != u64::MAX).then_some(u64::MAX);
        let paused = self.deadline_ns.fetch_update(relaxed, relaxed, pause);
        Paused {
            watch: self,
            remaining_ns: paused.ok().and_then(|_| u64::try_from(remaining_ns).ok()),
        }
    }

    /// Has whoever waits in a component be woken by `waker` when it is late.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        if let Some(own) = &self.waker {
            own.register(waker);
        }
    }

    /// Whether its program was ended because of it.
    pub(crate) fn missed(&self) -> bool {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether its program is to be ended at the next chance.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline_ns.load(Ordering::Relaxed) == LATE
    }

    /// What a call to the host asks before it returns to its program.
    ///
    /// # Errors
    /// It must not return there.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        if self.is_late() {
            Err(Stop::Deadline)
        } else {
            Ok(())
        }
    }

    /// How long it may go on.
    pub(crate) fn remaining(&self) -> Duration {
        let deadline_ns = self.deadline_ns.load(Ordering::Relaxed);
        Duration::from_nanos(deadline_ns.saturating_sub(now_ns()))
    }

    fn begin(&self) {
        let deadline_ns = now_ns().saturating_add(self.limit_ns);
        self.deadline_ns.store(deadline_ns, Ordering::Relaxed);
    }
}

/// Until this is dropped, time does not count.
pub(crate) struct Paused<'a> {
    watch: &'a Watch,
    /// What was left, if it was not late.
    remaining_ns: Option<u64>,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        let Some(remaining_ns) = self.remaining_ns else {
            return;
        };
        let relaxed = Ordering::Relaxed;
        let go_on = |ns| (ns != LATE).then(|| now_ns().saturating_add(remaining_ns));
        // Late meanwhile: only a signal to the process can be why.
        let _ = self.watch.deadline_ns.fetch_update(relaxed, relaxed, go_on);
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
    /// Whose code looks at the time itself.
    components: OnceLock<EngineWeak>,
    starts: Mutex<Slab<(Pthread, Arc<Watch>)>>,
}

impl State {
    fn starts(&self) -> MutexGuard<'_, Slab<(Pthread, Arc<Watch>)>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pokes whoever is late, and says whether anybody is.
    fn look(&self) -> bool {
        let cut = self.cut.load(Ordering::Relaxed);
        let now = now_ns();
        let mut any_late = false;
        for (_, (thread, watch)) in &*self.starts() {
            // Not if its limit began anew meanwhile.
            let late = watch
                .deadline_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ns| {
                    (cut || ns <= now).then_some(LATE)
                });
            if late.is_ok() {
                any_late = true;
                if let Some(waker) = &watch.waker {
                    waker.wake();
                    continue;
                }
                // The thread lives: it would have to take itself out of the list first.
                let _ = pthread_kill(*thread, POKE);
            }
        }
        if let Some(components) = self.components.get().and_then(EngineWeak::upgrade) {
            // Those that were marked above are asked next.
            components.increment_epoch();
        }
        any_late
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
                let mut next = tick;
                while !theirs.stop.load(Ordering::Relaxed) {
                    thread::park_timeout(next);
                    if interrupt::received().is_some()
                        && interrupted.get_or_insert_with(Instant::now).elapsed() >= GRACE
                    {
                        theirs.cut.store(true, Ordering::Relaxed);
                    }
                    next = if theirs.look() { tick.min(RETRY) } else { tick };
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
            modules: vec![module.clone(), self.trap.clone()],
        })
    }

    /// Has the code of `components` look at every tick whether its start is late.
    pub(crate) fn count_epochs(&self, components: &Engine) {
        // One engine has one of components.
        let _ = self.state.components.set(components.weak());
    }

    /// A start of `code` that may take `limit` from when it [runs](Self::keep).
    pub(crate) fn watch(code: &Arc<Code>, limit: Duration) -> Arc<Watch> {
        Arc::new(Self::new_watch(code, limit))
    }

    /// The same of a component, whose code asks by itself and which is woken where it waits.
    pub(crate) fn watch_component(code: &Arc<Code>, limit: Duration) -> Arc<Watch> {
        Arc::new(Watch {
            waker: Some(Box::default()),
            ..Self::new_watch(code, limit)
        })
    }

    fn new_watch(code: &Arc<Code>, limit: Duration) -> Watch {
        Watch {
            code: code.clone(),
            limit_ns: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
            deadline_ns: AtomicU64::new(u64::MAX),
            missed: AtomicBool::new(false),
            escape: AtomicPtr::default(),
            stack_top: AtomicUsize::new(0),
            trace: Trace::default(),
            waker: None,
        }
    }

    /// Keeps the deadline of a start that runs on this thread, from now until the result is dropped.
    pub(crate) fn keep(&self, watch: &Arc<Watch>) -> Watched<'_> {
        let here = 0_u8;
        watch
            .stack_top
            .store(ptr::from_ref(&here).addr(), Ordering::Relaxed);
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
    // SAFETY: `poked` only reads atomics and a thread-local without a destructor.
    unsafe { sigaction(POKE, &action) }.map(|_| ())
}

/// On the thread of a start that may be late.
extern "C" fn poked(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: where it is not null it is the start that runs on this thread, which cannot end meanwhile.
    let Some(watch) = (unsafe { CURRENT.get().as_ref() }) else {
        return;
    };
    if !watch.is_late() {
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

/// A fault on this thread, told by the engine's handler before it looks at it: whether it was a library's, which then ends
/// with a trap. Of one in a program's functions it keeps where it was.
///
/// # Safety
/// `info` and `context` are those of the handler of a signal that this thread caused.
pub(crate) unsafe fn faulted(
    signal: c_int,
    info: *const siginfo_t,
    context: *const c_void,
) -> bool {
    // SAFETY: where it is not null it is the start that runs on this thread, which cannot end meanwhile.
    let Some(watch) = (unsafe { CURRENT.get().as_ref() }) else {
        return false;
    };
    // SAFETY: the kernel passes the handler what it will restore, the handler's alone.
    let context = unsafe { &mut *context.cast_mut().cast::<ucontext_t>() };
    if let Some(escape) = watch.escape() {
        // SAFETY: as the caller vouches for.
        return unsafe { library::fault(escape, signal, info, context) };
    }
    let code = &watch.code;
    if code.contains(registers::pc(context)) {
        let top = watch.stack_top.load(Ordering::Relaxed);
        // SAFETY: the fault is at a trap of the program's own, below the frame that called it.
        unsafe { watch.trace.take(context, top, |pc| code.contains(pc)) };
    }
    false
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
