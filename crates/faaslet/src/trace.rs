//! Where a program trapped: the functions that its error message names.
//!
//! The engine's own back trace is off (see [`deadline`](crate::deadline)). This one is taken at traps of the program alone, where it
//! keeps its frames in order, and follows them only as far as they lie between its stack pointer and the frame of its caller.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::ucontext_t;
use measure_core::base::words;

use crate::deadline::code::Code;
use crate::names::NAME_CHARS;
use crate::registers;

/// So many frames are named.
const NAMED: usize = 6;
/// One more, to know that there are more.
const KEPT: usize = NAMED + 1;
/// Of frame pointers, and the size of a saved one with its return address.
const FRAME_BYTES: usize = 16;

/// The innermost frames at a trap.
#[derive(Default)]
pub(crate) struct Trace {
    /// Program counters, the innermost first; 0 beyond the last.
    pcs: [AtomicUsize; KEPT],
}

impl Trace {
    /// Keeps the frames of the interrupted `context`, all below the address `top`, as long as they are of code that is `ours`.
    ///
    /// # Safety
    /// The thread is the interrupted one, and its stack is there from its stack pointer to `top`.
    pub(crate) unsafe fn take(
        &self,
        context: &ucontext_t,
        top: usize,
        ours: impl Fn(usize) -> bool,
    ) {
        let (mut pc, mut fp) = (registers::pc(context), registers::fp(context));
        let mut lowest = registers::sp(context);
        for kept in &self.pcs {
            kept.store(pc, Ordering::Relaxed);
            let readable = (lowest..top.saturating_sub(FRAME_BYTES)).contains(&fp);
            if !readable || !fp.is_multiple_of(FRAME_BYTES) {
                return;
            }
            let frame = ptr::with_exposed_provenance::<[usize; 2]>(fp);
            // SAFETY: two words that lie between the stack pointer and the top.
            let [caller_fp, return_pc] = unsafe { frame.read() };
            // The call is before where it returns to.
            pc = return_pc.wrapping_sub(1);
            if !ours(pc) {
                return;
            }
            (lowest, fp) = (fp + FRAME_BYTES, caller_fp);
        }
    }

    /// What the functions of `code` are called that the frames are of.
    pub(crate) fn names(&self, code: &Code) -> Vec<String> {
        let Some(module) = code.module() else {
            return Vec::new();
        };
        let base = module.text().as_ptr().addr();
        let name = |pc: usize| {
            let offset = pc.checked_sub(base)?;
            let mut functions = module.functions();
            let function = functions.find(|f| (f.offset..f.offset + f.len).contains(&offset))?;
            Some(match function.name {
                Some(name) => format!("`{}`", words::name(&name, NAME_CHARS)),
                None => format!("function[{}]", function.index.as_u32()),
            })
        };
        let pcs = self.pcs.iter().map(|pc| pc.load(Ordering::Relaxed));
        let mut names: Vec<String> = pcs.take_while(|&pc| pc != 0).map_while(name).collect();
        if names.len() > NAMED {
            names.truncate(NAMED);
            names.push("...".to_owned());
        }
        names
    }
}
