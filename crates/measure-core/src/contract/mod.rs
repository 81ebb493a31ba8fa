//! What passes between a driver and whoever started it, and from a run to its readers.

pub mod answer;
mod content;
mod description;
pub mod environment;
pub mod exchange;
mod fitness;
pub mod function;
pub mod host_lock;
pub mod load_point;
pub mod network_grant;
pub mod open_loop;
pub mod protocol;
pub mod release_page;
pub mod run_dir;
pub mod run_info;
pub mod sample;
pub mod vocabulary;

pub use description::{Description, Isolation, Probe, Reach, Scope};
