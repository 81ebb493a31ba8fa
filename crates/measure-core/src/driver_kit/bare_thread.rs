//! A thread without what the standard library adds to one: its signal stack alone (mapped, guarded and
//! unmapped for every thread) adds two thirds of what the bare thread costs.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// `pthread_attr_t` with a stack size.
pub struct Attributes(libc::pthread_attr_t);

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attributes")
    }
}

// SAFETY: only read after it is made; POSIX lets any number of threads create threads from it.
unsafe impl Send for Attributes {}
// SAFETY: as above.
unsafe impl Sync for Attributes {}

impl Attributes {
    /// Threads with `stack_bytes` of stack.
    ///
    /// # Errors
    /// The C library refuses the size.
    pub fn new(stack_bytes: usize) -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: `pthread_attr_init` initialises what it is given.
        let mut attributes = unsafe {
            checked(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
            Self(attributes.assume_init())
        };
        // SAFETY: initialised above.
        checked(unsafe { libc::pthread_attr_setstacksize(&raw mut attributes.0, stack_bytes) })?;
        Ok(attributes)
    }

    /// Runs `job` on a new thread; returns when the thread is joined.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn run<F: FnMut() + Send>(&self, job: &mut F) -> io::Result<()> {
        let mut thread = MaybeUninit::uninit();
        // SAFETY: `job` outlives the thread, which is joined here and has it to itself until then; `main::<F>`
        // takes it for what it is. The thread is joined once.
        unsafe {
            checked(libc::pthread_create(
                thread.as_mut_ptr(),
                &raw const self.0,
                main::<F>,
                (&raw mut *job).cast(),
            ))?;
            checked(libc::pthread_join(thread.assume_init(), ptr::null_mut()))
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, not used after.
        unsafe { libc::pthread_attr_destroy(&raw mut self.0) };
    }
}

/// A panic in `job` ends the process: it cannot leave a C function.
extern "C" fn main<F: FnMut() + Send>(job: *mut c_void) -> *mut c_void {
    // SAFETY: `run` passes an `F` that nobody else uses while this thread runs.
    unsafe { (*job.cast::<F>())() };
    ptr::null_mut()
}

/// Why no thread is to be had, with the limits that bound their number.
#[must_use]
pub fn no_thread(error: &io::Error) -> String {
    format!(
        "no thread to be had: {error}; ulimit -u, kernel.threads-max, kernel.pid_max, vm.max_map_count and the cgroup's pids.max bound them"
    )
}

fn checked(code: c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_runs_elsewhere_and_is_joined() {
        let attributes = Attributes::new(1 << 20).expect("attributes");
        let here = nix::unistd::gettid();
        let mut there = None;
        attributes
            .run(&mut || there = Some(nix::unistd::gettid()))
            .expect("joined");
        assert!(there.is_some_and(|tid| tid != here));
    }

    #[test]
    fn an_impossible_stack_is_refused() {
        assert!(Attributes::new(1).is_err());
        let huge = Attributes::new(1 << 60).expect("only a number so far");
        assert!(huge.run(&mut || {}).is_err());
    }
}
