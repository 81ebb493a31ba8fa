//! Leaving a library's code from a handler of signals.

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;

use libc::{c_int, siginfo_t, ucontext_t};

use super::{Start, Status};
use crate::{deadline, registers};

/// Where a start that is under way can be left, and how.
pub(crate) struct Escape {
    /// The library's code. While it runs no lock is held, and nothing but the library's own frames lies above its entry.
    pub(super) code: Range<usize>,
    /// `faaslet_escape`.
    pub(super) exit: usize,
    /// Everything that an address of the module can reach.
    pub(super) memory: Range<usize>,
    pub(super) start: *const Start,
}

impl Escape {
    /// Has the interrupted thread go on at the way out with `status`, if it was in the library's code and may leave.
    pub(crate) fn leave(&self, context: &mut ucontext_t, status: Status) -> bool {
        // SAFETY: the start lives as long as this does, on the thread that was interrupted; the library writes the field.
        let stack = unsafe { ptr::read_volatile(&raw const (*self.start).escape_sp) };
        if stack == 0 || !self.code.contains(&registers::pc(context)) {
            return false;
        }
        let arguments = [self.start.addr(), status as usize];
        registers::call(context, self.exit, stack, arguments);
        true
    }
}

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

/// A frame that meets the end of the stack does so this near the stack pointer, as it touches each of its pages.
const FRAME_BYTES: usize = 64 << 10;
