//! Keeps what a start wrote to its memory in so few pieces that the engine resets them in place.
//!
//! The engine asks the kernel which pages of a freed memory were written (`PAGEMAP_SCAN`) and copies what they held at first over
//! them, as far as these are in 32 pieces; everything behind the 32nd it gives back to the kernel. A program that writes here and
//! there (an interpreter counts references in every object it touches) then meets its pages as new ones at every start: a fault and a
//! copy for each, and, where another thread of the process runs on another processor, an interrupt of that one whenever pages are
//! given back or one that was read is written. So before such a memory is freed, the smallest gaps between its pieces are made pieces
//! too: the kernel is told to have their pages ready for writing, which changes no byte. What the engine resets in place it finds
//! joined at the next start.
//!
//! Nothing here resets anything, so nothing here can leave anything: more pages are reset than were written, by the engine, as ever.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::OnceLock;

use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::sysinfo::sysinfo;
use wasmtime::PoolingAllocationConfig;

/// Pieces that the engine lets the kernel tell it of (`MAX_REGIONS` in its sys/unix/pagemap.rs).
const ENGINE_PIECES: usize = 32;
/// So many are left when gaps are filled: the next start may write a few pages elsewhere.
const JOINED_PIECES: usize = 24;
/// Of more pieces than this none are joined: the engine does what it does.
const MOST_PIECES: usize = 1024;
const PAGE_BYTES: u64 = 4096;

/// A memory of fewer bytes cannot be written in more pieces than the engine resets in place.
pub(crate) const SCATTERED_MEMORY_BYTES: u64 = 2 * ENGINE_PIECES as u64 * PAGE_BYTES;

// Of linux/fs.h; no library here has them.
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
pub struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`: addresses of written pages that lie side by side.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Piece {
    start: u64,
    end: u64,
    categories: u64,
}

impl Piece {
    fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

nix::ioctl_readwrite!(pagemap_scan, b'f', 16, ScanArgument);

/// Whether the kernel may be asked which pages of a freed memory were written, and its answer relied upon.
///
/// Not where it can swap: the engine takes a page that is swapped out for one that nobody wrote, and leaves what it holds to the next
/// start (wasmtime's pull request 14357 is about both that and the 32 pieces). Nor before Linux 6.7, which cannot say.
/// Asked for once, so that all engines of a process agree, and what is said of them.
pub(crate) fn scan_is_sound() -> bool {
    static SOUND: OnceLock<bool> = OnceLock::new();
    *SOUND.get_or_init(|| {
        // Swap that cannot be asked for is taken to be there.
        let swaps = sysinfo().map_or(true, |info| info.swap_total() > 0);
        !swaps && PoolingAllocationConfig::is_pagemap_scan_available()
    })
}

/// Joins the written pieces of `memory`, which begins with a page, until the engine can reset them all in place; not if they would be
/// more than `keep_bytes` with that.
pub(crate) fn join_pieces(memory: &[u8], keep_bytes: usize) {
    let Some(pagemap) = pagemap() else { return };
    let keep_pages = keep_bytes as u64 / PAGE_BYTES;
    let mut few = [Piece::default(); ENGINE_PIECES + 1];
    if written_pieces(pagemap, memory, keep_pages, &mut few) <= ENGINE_PIECES {
        return;
    }
    // Not on the stack, whose pages a short thread would have to fault in.
    let mut pieces = vec![Piece::default(); MOST_PIECES];
    let found = written_pieces(pagemap, memory, keep_pages, &mut pieces);
    for gap in gaps_to_fill(&pieces[..found], keep_pages * PAGE_BYTES) {
        make_written(memory, gap);
    }
}

/// Of this process, for as long as it lives. One that was forked off and runs no other program has its parent's; ours are of the
/// latter kind.
fn pagemap() -> Option<&'static File> {
    static PAGEMAP: OnceLock<Option<File>> = OnceLock::new();
    PAGEMAP
        .get_or_init(|| File::open("/proc/self/pagemap").ok())
        .as_ref()
}

/// Asks the kernel for the written pieces of `memory`, as many as `pieces` holds, and none once they have more than `most_pages`; returns
/// how many there are in it, 0 if the kernel does not know.
fn written_pieces(pagemap: &File, memory: &[u8], most_pages: u64, pieces: &mut [Piece]) -> usize {
    let range = memory.as_ptr_range();
    let mut argument = ScanArgument {
        size: size_of::<ScanArgument>() as u64,
        start: range.start.addr() as u64,
        end: range.end.addr() as u64,
        vec: pieces.as_mut_ptr().expose_provenance() as u64,
        vec_len: pieces.len() as u64,
        max_pages: most_pages + 1,
        // As the engine asks: written and present, neither the page of zeros nor a file's.
        category_inverted: PAGE_IS_PFNZERO | PAGE_IS_FILE,
        category_mask: PAGE_IS_WRITTEN | PAGE_IS_PRESENT | PAGE_IS_PFNZERO | PAGE_IS_FILE,
        ..ScanArgument::default()
    };
    // SAFETY: the kernel reads the argument, writes its `walk_end`, and writes at most `vec_len` pieces to `vec`.
    let found = unsafe { pagemap_scan(pagemap.as_raw_fd(), &raw mut argument) };
    let found = found.ok().and_then(|found| usize::try_from(found).ok());
    found.unwrap_or(0).min(pieces.len())
}

/// The smallest gaps between `pieces`, which are in order, without which these are [`JOINED_PIECES`]; none if the engine resets the
/// pieces in place anyway, if they with the gaps are more than `keep_bytes`, or if there may be more of them.
fn gaps_to_fill(pieces: &[Piece], keep_bytes: u64) -> Vec<Piece> {
    if pieces.len() <= ENGINE_PIECES || pieces.len() >= MOST_PIECES {
        return Vec::new();
    }
    let between = pieces.windows(2).map(|pair| Piece {
        start: pair[0].end,
        end: pair[1].start,
        categories: 0,
    });
    let mut gaps: Vec<Piece> = between.collect();
    gaps.sort_by_key(Piece::bytes);
    gaps.truncate(pieces.len() - JOINED_PIECES);
    let all: u64 = pieces.iter().chain(&gaps).map(Piece::bytes).sum();
    if all > keep_bytes {
        return Vec::new();
    }
    gaps
}

/// Has the pages of `gap`, which lies within `memory`, be as if they had been written, each byte with what it is.
fn make_written(memory: &[u8], gap: Piece) {
    let base = memory.as_ptr();
    let from = gap.start - base.addr() as u64;
    let at = NonNull::from(&memory[from as usize..]).cast();
    // SAFETY: whole pages within `memory`, of which no byte changes. Where there is no memory to be had, the engine resets as ever.
    let _ = unsafe { madvise(at, gap.bytes() as usize, MmapAdvise::MADV_POPULATE_WRITE) };
}

#[cfg(test)]
mod tests;
