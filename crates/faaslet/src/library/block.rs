//! What a library keeps of a start besides memory: instance and tables. The host has it, so that nothing is lost wherever a
//! start is left, and so that tables, which few programs can change, are made once and not at each start.

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use second_engine::abi::Layout;

/// The alignment that anything in a block may need.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
struct Unit([u8; Unit::BYTES]);

impl Unit {
    const BYTES: usize = 64;
    const ZERO: Self = Self([0; Self::BYTES]);
}

/// The block of one start at a time.
#[derive(Debug)]
pub(super) struct Block {
    units: Box<[Unit]>,
    /// What of it a start may change, as it was when it was made; none before.
    made: Box<[Unit]>,
}

impl Block {
    /// One that is yet to be made.
    fn zero(layout: &Layout) -> Self {
        Self {
            units: vec![Unit::ZERO; units(layout.block_bytes)].into(),
            made: Box::default(),
        }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut c_void {
        self.units.as_mut_ptr().cast()
    }

    /// Whether it has to be made before anything runs on it.
    pub(super) fn is_new(&self) -> bool {
        self.made.is_empty()
    }

    /// It is as it is to be at the beginning of each start.
    pub(super) fn keep(&mut self, layout: &Layout) {
        let changed = units(layout.changed_bytes).clamp(1, self.units.len());
        self.made = self.units[..changed].into();
    }

    /// Takes back whatever a start changed.
    fn reset(&mut self) {
        self.units[..self.made.len()].copy_from_slice(&self.made);
    }
}

fn units(bytes: u64) -> usize {
    usize::try_from(bytes).map_or(usize::MAX, |bytes| bytes.div_ceil(Unit::BYTES).max(1))
}

/// The blocks that no start has at the moment: as many as there were starts at once.
#[derive(Debug)]
pub(super) struct Blocks {
    layout: Layout,
    free: Mutex<Vec<Block>>,
}

impl Blocks {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            free: Mutex::default(),
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A block for one start, in which nothing is left of another.
    pub(super) fn take(&self) -> Block {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        free.unwrap_or_else(|| Block::zero(&self.layout))
    }

    /// Has it back, if it was made whole.
    pub(super) fn give_back(&self, mut block: Block) {
        if block.is_new() {
            return;
        }
        block.reset();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_changes_is_taken_back_and_the_rest_stays() {
        let blocks = Blocks::new(Layout {
            block_bytes: 200,
            changed_bytes: 70,
        });
        let mut block = blocks.take();
        assert!(block.is_new() && block.units.len() == 4);
        assert_eq!(block.as_mut_ptr().addr() % 64, 0);
        block.units[1].0[0] = 1;
        block.units[3].0[7] = 2;
        block.keep(blocks.layout());
        block.units[0].0[9] = 9;
        block.units[1].0[0] = 9;
        blocks.give_back(block);
        let block = blocks.take();
        assert!(!block.is_new());
        let (zero, one) = (block.units[0].0[9], block.units[1].0[0]);
        assert_eq!((zero, one, block.units[3].0[7]), (0, 1, 2));
        // One that was not made is not used again.
        blocks.give_back(blocks.take());
        assert!(blocks.take().is_new());
    }
}
