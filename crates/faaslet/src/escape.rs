//! Leaving a library's code from a handler of signals.

use std::ops::Range;
use std::ptr;

use libc::ucontext_t;
use second_engine::abi::{Start, Status};

use crate::registers;

/// Where a start that is under way can be left, and how.
pub(crate) struct Escape {
    /// The library's code. While it runs no lock is held, and nothing but the library's own frames lies above its entry.
    pub(crate) code: Range<usize>,
    /// `faaslet_escape`.
    pub(crate) exit: usize,
    /// Everything that an address of the module can reach.
    pub(crate) memory: Range<usize>,
    pub(crate) start: *const Start,
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
