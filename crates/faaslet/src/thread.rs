//! A Faaslet on a thread made for it.

use std::sync::Arc;
use std::thread::Builder;

use measure_core::clock::PhaseClock;

use crate::error::StartError;
use crate::function::Function;
use crate::netns;
use crate::seat::{self, Namespaces, Seats};

/// Stack of a Faaslet's thread: the Wasm stack limit and room for the host's calls below it.
pub const STACK_BYTES: usize = 1 << 20;

/// Phases of the thread.
pub mod phase {
    /// From asked for to its first instruction.
    pub const THREAD: &str = "thread";
    /// From its last instruction to joined.
    pub const JOIN: &str = "join";
}

/// Runs `function` once on a new thread in seat `i`, to joined. `clock` has just been started.
///
/// # Errors
/// The start failed, or no thread is to be had.
pub fn start(
    function: &Function,
    seats: &Arc<Seats>,
    i: usize,
    namespaces: Namespaces,
    mut clock: PhaseClock,
) -> (PhaseClock, Result<(), StartError>) {
    let (function, seats) = (function.clone(), seats.clone());
    let thread = Builder::new().stack_size(STACK_BYTES).spawn(move || {
        clock.lap(phase::THREAD);
        let result = seated(&function, &seats, i, namespaces, &mut clock);
        (clock, result)
    });
    let thread = match thread {
        Ok(thread) => thread,
        Err(e) => return (clock, Err(no_thread(&e))),
    };
    match thread.join() {
        Ok((mut clock, result)) => {
            clock.lap(phase::JOIN);
            (clock, result)
        }
        Err(_) => (
            clock,
            Err(StartError::Setup("its thread panicked".to_owned())),
        ),
    }
}

fn seated(
    function: &Function,
    seats: &Seats,
    i: usize,
    namespaces: Namespaces,
    clock: &mut PhaseClock,
) -> Result<(), StartError> {
    seats.take(i, clock)?;
    if namespaces == Namespaces::Pooled {
        return function.start(clock);
    }
    let failed = |e: netns::NetnsError| StartError::Setup(e.to_string());
    let config = netns::Config::from_env().map_err(failed)?;
    let namespace = netns::Namespace::create(&config).map_err(failed)?;
    netns::enter(namespace.fd()).map_err(failed)?;
    clock.lap(seat::phase::NETNS);
    let result = function.start(clock);
    let removed = namespace.remove().map_err(failed);
    clock.lap(seat::phase::NETNS_DROP);
    result.and(removed)
}

pub(crate) fn no_thread(e: &std::io::Error) -> StartError {
    StartError::Setup(format!(
        "no thread to be had: {e}; ulimit -u, kernel.threads-max, kernel.pid_max, vm.max_map_count and the cgroup's pids.max bound them"
    ))
}
