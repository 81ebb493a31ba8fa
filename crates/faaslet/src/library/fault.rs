//! Faults in a library's code.

use libc::{c_int, siginfo_t, ucontext_t};
use second_engine::abi::Status;

use crate::escape::Escape;
use crate::registers;

/// A frame that meets the end of the stack does so this near the stack pointer, as it touches each of its pages.
const FRAME_BYTES: usize = 64 << 10;

/// A fault on the thread that runs the library of `escape`: whether it was the library's, which then ends with a trap.
///
/// # Safety
/// `info` is that of the handler of a signal that this thread caused, at `context`.
pub(crate) unsafe fn fault(
    escape: &Escape,
    signal: c_int,
    info: *const siginfo_t,
    context: &mut ucontext_t,
) -> bool {
    if signal == libc::SIGILL {
        let number = i32::try_from(registers::argument(context)).ok();
        let told = number.and_then(Status::from_number);
        return escape.leave(context, told.unwrap_or(Status::OtherTrap));
    }
    if signal != libc::SIGSEGV && signal != libc::SIGBUS {
        return false;
    }
    // SAFETY: of these signals the kernel tells the address.
    let address = unsafe { (*info).si_addr() }.addr();
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
