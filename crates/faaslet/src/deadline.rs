//! Deadlines that cost running code nothing: no counter, no check in it.
//!
//! One thread per engine, the watcher, looks at all starts under way at the tick at which one can be late, marks those that are past their
//! deadline, and sends [`POKE`] to the thread of each, again every [`RETRY`] until it has ended. The signal's handler runs on that
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

pub(crate) mod code;
pub(crate) mod fault;
mod watch;

use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libc::{c_int, c_void, siginfo_t, ucontext_t};
use measure_core::base::clock::now_ns;
use measure_core::base::interrupt;
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use second_engine::abi::Status;
use slab::Slab;
use wasmtime::{Engine, EngineWeak, Module};

pub(crate) use self::code::Code;
use self::code::{TRAP_WASM, functions, trap_in};
use self::watch::LATE;
pub(crate) use self::watch::Watch;
use crate::error::WatcherError;
use crate::registers;

/// Ignored where nobody handles it, and rarely used for what it was meant for: out-of-band data on a socket.
const POKE: Signal = Signal::SIGURG;

/// After a signal to the process, how long starts under way may take to end by themselves.
const GRACE: Duration = Duration::from_millis(50);

/// How often a late start is poked until it has ended.
const RETRY: Duration = Duration::from_millis(1);

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

/// When the watcher looks next.
enum Next {
    /// Soon, as somebody is late.
    Retry,
    /// At the first tick from then on: before that nobody's deadline passes.
    At(u64),
}

impl State {
    fn starts(&self) -> MutexGuard<'_, Slab<(Pthread, Arc<Watch>)>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pokes whoever is late, and says when somebody next can be who begins or goes on with `limit_ns` from now on.
    fn look(&self, limit_ns: u64) -> Next {
        let cut = self.cut.load(Ordering::Relaxed);
        let now = now_ns();
        let mut any_late = false;
        let mut due_ns = now.saturating_add(limit_ns);
        for (_, (thread, watch)) in &*self.starts() {
            // Not if its limit began anew meanwhile.
            let late = watch
                .deadline_ns
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ns| {
                    (cut || ns <= now).then_some(LATE)
                });
            if let Err(deadline_ns) = late {
                due_ns = due_ns.min(deadline_ns);
            } else {
                any_late = true;
                if let Some(waker) = &watch.waker {
                    waker.wake();
                    continue;
                }
                // The thread lives: it would have to take itself out of the list first.
                let _ = pthread_kill(*thread, POKE);
            }
        }
        if any_late {
            Next::Retry
        } else {
            Next::At(due_ns)
        }
    }

    /// The watcher.
    fn watch(&self, tick: Duration, limit_ns: u64) {
        let mut interrupted: Option<Instant> = None;
        let (mut next, mut resumed) = (Next::At(0), 0);
        while !self.stop.load(Ordering::Relaxed) {
            thread::park_timeout(match next {
                Next::Retry => tick.min(RETRY),
                Next::At(_) => tick,
            });
            if interrupt::received().is_some()
                && interrupted.get_or_insert_with(Instant::now).elapsed() >= GRACE
            {
                self.cut.store(true, Ordering::Relaxed);
            }
            // Whoever goes on where the limit was may be late before the others.
            let resumed_before = mem::replace(&mut resumed, watch::resumed());
            let is_due = match next {
                Next::Retry => true,
                Next::At(due_ns) => {
                    now_ns() >= due_ns
                        || resumed != resumed_before
                        || self.cut.load(Ordering::Relaxed)
                }
            };
            if is_due {
                next = self.look(limit_ns);
            }
            self.count_epoch();
        }
    }

    /// Has the code of components ask whether its start was marked.
    fn count_epoch(&self) {
        if let Some(components) = self.components.get().and_then(EngineWeak::upgrade) {
            components.increment_epoch();
        }
    }
}

impl Deadlines {
    /// Starts the watcher of starts that have `limit` each, which looks when one can be late, at the next `tick`: not at every tick at
    /// all of thousands that are parked.
    pub(crate) fn start(
        engine: &Engine,
        tick: Duration,
        limit: Duration,
    ) -> Result<Self, WatcherError> {
        let trap =
            Module::new(engine, TRAP_WASM).map_err(|e| WatcherError::Compile(format!("{e:#}")))?;
        let trap_pc = functions(&trap)
            .first()
            .and_then(|stub| trap_in(&trap, stub))
            .ok_or(WatcherError::Trap)?;
        handle_pokes().map_err(|e| WatcherError::Handler(e.into()))?;
        let state = Arc::new(State::default());
        let theirs = state.clone();
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let watcher = thread::Builder::new()
            .name("deadlines".to_owned())
            .stack_size(64 << 10)
            .spawn(move || theirs.watch(tick, limit_ns))
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
        Arc::new(Watch::of_code(code, limit, None))
    }

    /// The same of a component, whose code asks by itself and which is woken where it waits.
    pub(crate) fn watch_component(code: &Arc<Code>, limit: Duration) -> Arc<Watch> {
        Arc::new(Watch::of_code(code, limit, Some(Box::default())))
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
