//! What is in common between all tools, from outside: the order of crates and rooms, run directories, a terminal, counts of tests.

mod entrance;
mod progress;
mod rooms;
mod run_dir;
