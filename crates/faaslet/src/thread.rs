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
use crate::seat::{self, Seat, Seats};
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
    seat: &'a Seat,
    i: usize,
    clock: PhaseClock,
    result: Result<(), StartError>,
    /// One that was made for this start.
    namespace: Option<netns::Namespace>,
}

/// Runs `function` once on a new thread in seat `i`, to joined; what of the seat was not made before is made
/// for it and removed again. `clock` has just been started.
///
/// # Errors
/// The start failed, no thread or seat is to be had, or the seat is taken.
pub fn start(
    function: &Function,
    seats: &Seats,
    i: usize,
    mut clock: PhaseClock,
) -> (PhaseClock, Result<(), StartError>) {
    let Some(_claim) = seats.claim(i) else {
        return (clock, Err(SetupError::SeatTaken(i).into()));
    };
    if let Some(seat) = seats.seat(i) {
        return start_in(function, seats, seat, i, clock);
    }
    let seat = match seats.make_seat(i) {
        Ok(seat) => seat,
        Err(e) => return (clock, Err(SetupError::NewCgroup(e).into())),
    };
    clock.lap(seat::phase::CGROUP_NEW);
    let (mut clock, result) = start_in(function, seats, &seat, i, clock);
    let removed = seats.remove_seat(i, seat).map_err(SetupError::CgroupLeft);
    clock.lap(seat::phase::CGROUP_DROP);
    (clock, result.and(removed.map_err(StartError::from)))
}

/// The same in `seat`, which is this start's alone.
fn start_in(
    function: &Function,
    seats: &Seats,
    seat: &Seat,
    i: usize,
    clock: PhaseClock,
) -> (PhaseClock, Result<(), StartError>) {
    let _counted = match function.budget().threads.hold(1) {
        Ok(held) => held,
        Err(over) => return (clock, Err(SetupError::Budget(over).into())),
    };
    let mut job = Job {
        function,
        seats,
        seat,
        i,
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
        let removed = seats.remove_namespace(namespace).map_err(SetupError::Netns);
        job.clock.lap(seat::phase::NETNS_DROP);
        job.result = job.result.and(removed.map_err(StartError::from));
    }
    (job.clock, job.result)
}

impl Job<'_> {
    fn run(&mut self) -> Result<(), StartError> {
        self.clock.lap(phase::THREAD);
        // SAFETY: `start` has claimed the seat for this thread, and the seat outlives it.
        unsafe { self.seat.alt_stack.register() }.map_err(SetupError::SignalStack)?;
        self.seats.sit(self.seat, self.i, &mut self.clock)?;
        let Some(namespace) = self.seats.make_namespace() else {
            return self.function.start(&mut self.clock);
        };
        let namespace = namespace.map_err(SetupError::Netns)?;
        let namespace = self.namespace.insert(namespace);
        netns::enter(namespace.fd()).map_err(SetupError::Netns)?;
        self.clock.lap(seat::phase::NETNS);
        self.function.start(&mut self.clock)
    }
}

pub(crate) fn panicked(panic: &(dyn Any + Send)) -> StartError {
    SetupError::Panicked(panic_message(panic).to_owned()).into()
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
