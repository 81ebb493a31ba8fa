//! Measuring any command: wall and CPU time, counters, peak memory, I/O.
