//! A signal stack that a seat owns, so that a Faaslet's thread need not map one: the engine handles the
//! faults of Wasm on it, and would otherwise map and unmap 260 KiB at every start.

use std::io;
use std::ptr::{self, NonNull};

/// What the engine asks for at least.
const SIZE_BYTES: usize = 256 << 10;
/// Inaccessible bytes below it; a page on every Linux there is.
const GUARD_BYTES: usize = 64 << 10;

/// A mapped signal stack with a guard. Used by at most one thread at a time.
#[derive(Debug)]
pub(crate) struct AltStack {
    base: NonNull<libc::c_void>,
}

// SAFETY: the mapping is plain memory that no thread but the one that registered it touches.
unsafe impl Send for AltStack {}
// SAFETY: as above; a shared reference only hands its address to the kernel.
unsafe impl Sync for AltStack {}

impl AltStack {
    pub(crate) fn map() -> io::Result<Self> {
        // SAFETY: a new anonymous mapping at a place of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                GUARD_BYTES + SIZE_BYTES,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        let base = match NonNull::new(base) {
            Some(base) if base.as_ptr() != libc::MAP_FAILED => Self { base },
            _ => return Err(io::Error::last_os_error()),
        };
        // SAFETY: the upper part of the mapping just made.
        let changed = unsafe {
            libc::mprotect(
                base.stack().ss_sp,
                SIZE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if changed == 0 {
            Ok(base)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn stack(&self) -> libc::stack_t {
        libc::stack_t {
            // SAFETY: within the mapping.
            ss_sp: unsafe { self.base.as_ptr().byte_add(GUARD_BYTES) },
            ss_flags: 0,
            ss_size: SIZE_BYTES,
        }
    }

    /// Has the calling thread handle its signals here until it ends.
    ///
    /// # Safety
    /// No other thread uses it, and it outlives the calling thread.
    pub(crate) unsafe fn register(&self) -> io::Result<()> {
        // SAFETY: memory that the caller vouches for; the old stack is not asked for.
        match unsafe { libc::sigaltstack(&self.stack(), ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, no longer registered by any living thread.
        unsafe { libc::munmap(self.base.as_ptr(), GUARD_BYTES + SIZE_BYTES) };
    }
}
