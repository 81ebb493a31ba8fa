//! Waiting until parked workers are really blocked inside their function.

use std::fs;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::driver_kit::{DriverError, PARKABLE};

/// How long a worker may take to come to rest once it is started.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Waits until each of `count` workers sleeps in the kernel. `stat(i)` is the `/proc/.../stat` file of
/// worker `i`, once it is inside its function; `ended(i)` says how it ended, if it did.
///
/// # Errors
/// A worker ended by itself or does not come to rest, or a signal came.
pub(crate) fn wait_until_blocked(
    count: usize,
    stat: &dyn Fn(usize) -> Option<String>,
    ended: &mut dyn FnMut(usize) -> Option<String>,
) -> Result<(), DriverError> {
    let deadline = Instant::now() + TIMEOUT;
    for worker in 0..count {
        loop {
            let asleep = stat(worker).is_some_and(|path| sleeps(&path));
            // Asked after the look: a pooled thread that is done with its job sleeps too.
            if let Some(how) = ended(worker) {
                return Err(DriverError::StartFailed(format!(
                    "a worker {how} instead of staying blocked inside its function: {PARKABLE}"
                )));
            }
            if asleep {
                break;
            }
            if interrupt::received().is_some() {
                return Err(DriverError::Failed("interrupted while parking".into()));
            }
            if Instant::now() >= deadline {
                return Err(DriverError::StartFailed(format!(
                    "worker {worker} is still running after {} s: only a function that blocks can be held",
                    TIMEOUT.as_secs()
                )));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
    Ok(())
}

/// The `stat` file of a thread of this process that leaves its id in `tid` once it is inside its function.
pub(crate) fn thread_stat(tid: &AtomicI32) -> Option<String> {
    match tid.load(Ordering::Acquire) {
        0 => None,
        tid => Some(format!("/proc/self/task/{tid}/stat")),
    }
}

/// Whether the task waits for an event: state `S` in proc(5). Disk waits are `D`.
fn sleeps(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|stat| {
        let after_name = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        after_name.is_some_and(|rest| rest.starts_with('S'))
    })
}
