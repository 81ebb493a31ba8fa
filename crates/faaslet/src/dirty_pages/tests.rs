use std::num::NonZeroUsize;
use std::slice;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use proptest::prelude::*;

use super::*;

const PAGE: usize = PAGE_BYTES as usize;
const PAGES: usize = 1000;

fn piece(start: u64, end: u64) -> Piece {
    Piece {
        start: start * PAGE_BYTES,
        end: end * PAGE_BYTES,
        categories: 0,
    }
}

/// Pieces of a page, with gaps of 1, 2, ... pages.
fn spread(count: u64) -> Vec<Piece> {
    let starts = (1..=count).scan(0, |at, gap| {
        let start = *at;
        *at += 1 + gap;
        Some(start)
    });
    starts.map(|start| piece(start, start + 1)).collect()
}

#[test]
fn the_smallest_gaps_are_filled_until_few_are_left() {
    let pieces = spread(34);
    let gaps = gaps_to_fill(&pieces, 1 << 30);
    let pages: Vec<u64> = gaps.iter().map(|gap| gap.bytes() / PAGE_BYTES).collect();
    assert_eq!(pages, (1..=10).collect::<Vec<_>>());
    // 34 pages and 55 of gaps.
    assert!(gaps_to_fill(&pieces, 88 * PAGE_BYTES).is_empty());
    assert_eq!(gaps_to_fill(&pieces, 89 * PAGE_BYTES).len(), 10);
    assert!(gaps_to_fill(&pieces[..32], 1 << 30).is_empty());
    let many = vec![piece(0, 1); MOST_PIECES];
    assert!(gaps_to_fill(&many, 1 << 40).is_empty(), "perhaps not all");
}

proptest! {
    #[test]
    fn gaps_lie_between_pieces_and_join_them(widths in prop::collection::vec((1..5_u64, 1..50_u64), 0..200)) {
        let pieces: Vec<Piece> = widths.iter().scan(7, |at, (pages, gap)| {
            let start = *at;
            *at += pages + gap;
            Some(piece(start, start + pages))
        }).collect();
        let gaps = gaps_to_fill(&pieces, 1 << 40);
        for gap in &gaps {
            prop_assert!(pieces.windows(2).any(|pair| pair[0].end == gap.start && pair[1].start == gap.end));
        }
        let left = pieces.len() - gaps.len();
        prop_assert_eq!(left, if pieces.len() <= ENGINE_PIECES { pieces.len() } else { JOINED_PIECES });
    }
}

/// A mapping of zeros.
struct Map(NonNull<libc::c_void>);

impl Map {
    fn new() -> Self {
        let length = NonZeroUsize::new(PAGES * PAGE).expect("not nought");
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, unmapped when dropped.
        Self(unsafe { mmap_anonymous(None, length, both, MapFlags::MAP_PRIVATE) }.expect("mapped"))
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: all of it, nobody else's, and zeros at first.
        unsafe { slice::from_raw_parts_mut(self.0.as_ptr().cast(), PAGES * PAGE) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, not used after.
        unsafe { munmap(self.0, PAGES * PAGE) }.expect("unmapped");
    }
}

#[test]
fn scattered_pages_are_joined_and_keep_what_they_hold() {
    if !PoolingAllocationConfig::is_pagemap_scan_available() {
        eprintln!("SKIPPED: scattered pages: Linux before 6.7 does not say which were written");
        return;
    }
    let mut map = Map::new();
    let memory = map.bytes();
    for page in (0..PAGES).step_by(20) {
        memory[page * PAGE + 7] = 1;
    }
    // Read pages are not written ones.
    assert!(memory.iter().step_by(PAGE).all(|byte| *byte == 0));
    let pagemap = pagemap().expect("as the engine has it");
    let pieces_of = |memory: &[u8]| {
        let mut pieces = [Piece::default(); MOST_PIECES];
        written_pieces(pagemap, memory, PAGES as u64, &mut pieces)
    };
    assert_eq!(pieces_of(memory), 50);
    // 26 gaps of 19 pages, and the 50.
    join_pieces(memory, 543 * PAGE);
    assert_eq!(pieces_of(memory), 50, "more than may be kept");
    join_pieces(memory, 544 * PAGE);
    assert_eq!(pieces_of(memory), JOINED_PIECES);
    for (at, byte) in memory.iter().enumerate() {
        assert_eq!(*byte, u8::from(at % (20 * PAGE) == 7), "{at}");
    }
}
