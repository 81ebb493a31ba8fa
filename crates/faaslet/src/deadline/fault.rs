//! A fault of a program, or of the library that it runs as.

use std::sync::atomic::Ordering;

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use super::CURRENT;
use crate::{library, registers};

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
