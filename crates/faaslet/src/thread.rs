//! A Faaslet on a thread made for it.
//!
//! The thread is a bare pthread: the standard library's would map, protect and unmap a signal stack of its
//! own at every start, and the engine another, where here the seat's is registered with one call.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use measure_core::base::clock::PhaseClock;

use crate::error::{SetupError, StartError};
use crate::function::Function;
use crate::netns;
use crate::seat::{self, Namespaces, Seats};
pub use crate::settings::STACK_BYTES;

/// Phases of the thread.
pub mod phase {
    /// From asked for to its first instruction.
    pub const THREAD: &str = "thread";
    /// From its last instruction to joined.
    pub const JOIN: &str = "join";
}

/// What the thread is told and what it answers; lies on the caller's stack until it is joined.
struct Job<'a> {
    function: &'a Function,
    seats: &'a Seats,
    i: usize,
    namespaces: Namespaces,
    clock: PhaseClock,
    result: Result<(), StartError>,
    /// One that was made for this start.
    namespace: Option<netns::Namespace>,
}

/// Runs `function` once on a new thread in seat `i`, to joined. `clock` has just been started.
///
/// # Errors
/// The start failed, no thread is to be had, or the seat is taken.
pub fn start(
    function: &Function,
    seats: &Seats,
    i: usize,
    namespaces: Namespaces,
    clock: PhaseClock,
) -> (PhaseClock, Result<(), StartError>) {
    let Some(_claim) = seats.claim(i) else {
        return (clock, Err(SetupError::SeatTaken(i).into()));
    };
    let mut job = Job {
        function,
        seats,
        i,
        namespaces,
        clock,
        result: Ok(()),
        namespace: None,
    };
    // A panic must not unwind into the C library.
    let joined = seats.thread_attributes().run(&mut || {
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run()));
        job.result = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
    });
    if let Err(e) = joined {
        return (clock, Err(SetupError::Thread(e).into()));
    }
    job.clock.lap(phase::JOIN);
    if let Some(namespace) = job.namespace.take() {
        // By this thread: inside the namespace its host end, which is what can be removed, is not to be seen.
        let removed = namespace.remove().map_err(SetupError::Netns);
        job.clock.lap(seat::phase::NETNS_DROP);
        job.result = job.result.and(removed.map_err(StartError::from));
    }
    (job.clock, job.result)
}

impl Job<'_> {
    fn run(&mut self) -> Result<(), StartError> {
        self.clock.lap(phase::THREAD);
        // SAFETY: `start` has claimed the seat for this thread, and the seats outlive it.
        unsafe { self.seats.alt_stack(self.i).register() }.map_err(SetupError::SignalStack)?;
        self.seats.take(self.i, &mut self.clock)?;
        if self.namespaces == Namespaces::Pooled {
            return self.function.start(&mut self.clock);
        }
        let config = netns::Config::from_env().map_err(SetupError::Netns)?;
        let namespace = netns::Namespace::create(&config).map_err(SetupError::Netns)?;
        let namespace = self.namespace.insert(namespace);
        netns::enter(namespace.fd()).map_err(SetupError::Netns)?;
        self.clock.lap(seat::phase::NETNS);
        self.function.start(&mut self.clock)
    }
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> StartError {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    SetupError::Panicked(said.to_owned()).into()
}
