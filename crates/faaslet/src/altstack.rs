//! A signal stack that a seat owns, so that a Faaslet's thread need not map one: the engine handles the
//! faults of Wasm on it, and would otherwise map and unmap 260 KiB at every start.

use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// What the engine asks for at least.
const SIZE_BYTES: usize = 256 << 10;
/// Inaccessible bytes below it; a page on every Linux there is.
const GUARD_BYTES: usize = 64 << 10;
const MAPPED_BYTES: NonZeroUsize = NonZeroUsize::new(GUARD_BYTES + SIZE_BYTES).expect("not zero");

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
    pub(crate) fn map() -> nix::Result<Self> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at a place of the kernel's choice.
        let base = unsafe { mmap_anonymous(None, MAPPED_BYTES, ProtFlags::PROT_NONE, flags) }?;
        let made = Self { base };
        let readable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the upper part of the mapping just made.
        unsafe { mprotect(base.byte_add(GUARD_BYTES), SIZE_BYTES, readable) }?;
        Ok(made)
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
    pub(crate) unsafe fn register(&self) -> nix::Result<()> {
        // SAFETY: memory that the caller vouches for; the old stack is not asked for.
        Errno::result(unsafe { libc::sigaltstack(&self.stack(), ptr::null_mut()) }).map(drop)
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, no longer registered by any living thread.
        let _ = unsafe { munmap(self.base, MAPPED_BYTES.get()) };
    }
}
