//! Faults in a library's code.

use std::ffi::c_void;

use libc::{c_int, siginfo_t, ucontext_t};
use second_engine::abi::Status;

use crate::{deadline, registers};

/// A frame that meets the end of the stack does so this near the stack pointer, as it touches each of its pages.
const FRAME_BYTES: usize = 64 << 10;

/// A fault on this thread, told by the engine's handler: whether it was the library's, which then ends with a trap.
///
/// # Safety
/// `info` and `context` are those of the handler of a signal that this thread caused.
pub(crate) unsafe fn fault(signal: c_int, info: *const siginfo_t, context: *const c_void) -> bool {
    if signal != libc::SIGSEGV && signal != libc::SIGBUS {
        return false;
    }
    let Some(escape) = deadline::escape() else {
        return false;
    };
    // SAFETY: of these signals the kernel tells the address.
    let address = unsafe { (*info).si_addr() }.addr();
    // SAFETY: the kernel passes the handler what it will restore, the handler's alone.
    let context = unsafe { &mut *context.cast_mut().cast::<ucontext_t>() };
    let status = if escape.memory.contains(&address) {
        Status::Memory
    } else if address.abs_diff(registers::sp(context)) < FRAME_BYTES {
        Status::Stack
    } else {
        // Nothing that a module can do: the process must not go on.
        return false;
    };
    escape.leave(context, status)
}
