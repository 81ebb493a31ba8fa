//! The dead part of a thread's stack: pages that an earlier, deeper call has touched and that a thread
//! about to block for long need not keep.

use std::mem::MaybeUninit;
use std::ptr;

use nix::unistd::{getpid, gettid};

/// Bytes left untouched below a local of the function that gives pages back: the rest of its frame, the
/// red zone, and the frame of the system call's wrapper, which is a few words.
const MARGIN_BYTES: usize = 320;

/// Gives the pages of the calling thread's stack that lie below the current frame back to the kernel;
/// they read as zero when the stack grows again. Does nothing on the main thread, whose stack grows by
/// other rules, or where the bounds are unknown.
#[inline(never)]
pub(crate) fn release_dead_pages() {
    if gettid() == getpid() {
        return;
    }
    let Some(low) = lowest_address() else { return };
    let here = ptr::from_ref(&low).addr();
    let page = page_bytes();
    let high = here.saturating_sub(MARGIN_BYTES) & !(page - 1);
    let low_page = (low + page - 1) & !(page - 1);
    if low_page >= high {
        return;
    }
    // SAFETY: the range lies within this thread's own stack, whole pages, below every live frame (the
    // margin covers this call's own), so nothing that anyone will read is lost.
    unsafe {
        libc::madvise(
            ptr::with_exposed_provenance_mut(low_page),
            high - low_page,
            libc::MADV_DONTNEED,
        );
    }
}

fn page_bytes() -> usize {
    // SAFETY: no arguments that could be wrong.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page).unwrap_or(4096)
}

/// The lowest address of the calling thread's stack, its guard excluded.
fn lowest_address() -> Option<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the thread is the calling one; the attributes are read only if this succeeds.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: initialised above.
    let mut attributes = unsafe { attributes.assume_init() };
    let (mut low, mut size) = (ptr::null_mut(), 0);
    // SAFETY: valid attributes and places for the two results; destroyed once, here.
    let got = unsafe {
        let got = libc::pthread_attr_getstack(&attributes, &mut low, &mut size);
        libc::pthread_attr_destroy(&mut attributes);
        got
    };
    (got == 0 && size > 0).then(|| low.addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn dig(depth: usize) -> usize {
        let mut pad = [0_u8; 4096];
        std::hint::black_box(&mut pad);
        if depth == 0 {
            usize::from(pad[17])
        } else {
            dig(depth - 1) + usize::from(pad[9])
        }
    }

    #[test]
    fn live_frames_survive_and_the_stack_grows_again() {
        let sum = std::thread::spawn(|| {
            let live: Vec<u64> = (0..64).collect();
            let on_stack = std::hint::black_box([7_u64; 600]);
            dig(50);
            release_dead_pages();
            dig(50);
            live.iter().sum::<u64>() + on_stack.iter().sum::<u64>()
        })
        .join()
        .expect("no panic");
        assert_eq!(sum, 63 * 32 + 4200);
        // The main thread's stack is left alone, and nothing happens to it.
        release_dead_pages();
    }
}
