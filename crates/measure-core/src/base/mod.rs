//! What every tool has in common; knows nothing of measuring.

pub mod clock;
pub mod duration;
pub mod exit;
pub mod files;
pub mod home;
pub mod ids;
pub mod interrupt;
pub mod label;
pub mod lock;
pub mod process_tree;
pub mod processors;
pub mod programs;
pub mod progress;
pub mod range;
pub mod stdout;
pub mod tree;
pub mod trust;
pub mod verbosity;
pub mod words;
