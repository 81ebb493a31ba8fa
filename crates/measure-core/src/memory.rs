//! PSS, USS, RSS and swap of process trees.
