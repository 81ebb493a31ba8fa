//! PSS, USS, RSS and swap of process trees, once or over time.
