//! A Faaslet on a thread made for it.
//!
//! The thread is a bare pthread: the standard library's would map, protect and unmap a signal stack of its
//! own at every start, and the engine another, where here the seat's is registered with one call.

use std::any::Any;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

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

/// What the thread is told and what it answers; lies on the caller's stack until it is joined.
struct Job<'a> {
    function: &'a Function,
    seats: &'a Seats,
    i: usize,
    namespaces: Namespaces,
    clock: PhaseClock,
    result: Result<(), StartError>,
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
        let taken = format!("seat {i} is taken: two starts of one worker at once");
        return (clock, Err(StartError::Setup(taken)));
    };
    let mut job = Job {
        function,
        seats,
        i,
        namespaces,
        clock,
        result: Ok(()),
    };
    if let Err(e) = run_to_join(&mut job) {
        return (clock, Err(no_thread(&e)));
    }
    job.clock.lap(phase::JOIN);
    (job.clock, job.result)
}

fn run_to_join(job: &mut Job<'_>) -> io::Result<()> {
    let check = |code: i32| match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    };
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: initialised before it is used, destroyed once.
    unsafe {
        check(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES);
    }
    // SAFETY: `job` outlives the thread, which is joined below, and is touched by no one else until then.
    let created = check(unsafe {
        libc::pthread_create(
            thread.as_mut_ptr(),
            attributes.as_ptr(),
            thread_main,
            ptr::from_mut(job).cast(),
        )
    });
    // SAFETY: initialised above.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    created?;
    // SAFETY: created above, joined once.
    check(unsafe { libc::pthread_join(thread.assume_init(), ptr::null_mut()) })
}

extern "C" fn thread_main(job: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `run_to_join` passes a job that is this thread's alone until it ends.
    let job = unsafe { &mut *job.cast::<Job<'_>>() };
    // A panic must not unwind into the C library.
    let outcome = catch_unwind(AssertUnwindSafe(|| job.run()));
    job.result = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
    ptr::null_mut()
}

impl Job<'_> {
    fn run(&mut self) -> Result<(), StartError> {
        self.clock.lap(phase::THREAD);
        // SAFETY: `start` has claimed the seat for this thread, and the seats outlive it.
        unsafe { self.seats.alt_stack(self.i).register() }
            .map_err(|e| StartError::Setup(format!("no signal stack: {e}")))?;
        self.seats.take(self.i, &mut self.clock)?;
        if self.namespaces == Namespaces::Pooled {
            return self.function.start(&mut self.clock);
        }
        let failed = |e: netns::NetnsError| StartError::Setup(e.to_string());
        let config = netns::Config::from_env().map_err(failed)?;
        let namespace = netns::Namespace::create(&config).map_err(failed)?;
        netns::enter(namespace.fd()).map_err(failed)?;
        self.clock.lap(seat::phase::NETNS);
        let result = self.function.start(&mut self.clock);
        let removed = namespace.remove().map_err(failed);
        self.clock.lap(seat::phase::NETNS_DROP);
        result.and(removed)
    }
}

fn panicked(panic: &(dyn Any + Send)) -> StartError {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    StartError::Setup(format!("its thread panicked: {said}"))
}

pub(crate) fn no_thread(e: &io::Error) -> StartError {
    StartError::Setup(format!(
        "no thread to be had: {e}; ulimit -u, kernel.threads-max, kernel.pid_max, vm.max_map_count and the cgroup's pids.max bound them"
    ))
}
