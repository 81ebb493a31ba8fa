//! Seeded interleaving of blocks.
