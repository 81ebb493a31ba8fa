//! The Wasm side: function store, ahead-of-time code, and the isolation of a Faaslet.
//!
//! A Faaslet is a thread that runs one instance of a WASI program: its memory is its own by software fault
//! isolation, its CPU time is that of a cgroup, its network that of a namespace, its files those it was
//! given, and it ends at a deadline. See `docs/faaslet.md`.
//!
//! Design constraints:
//! * nothing survives from one start to the next but what is immutable or reset by the engine: code, memory
//!   images, empty slots;
//! * compiled code is run only from where nobody but the trusted can write;
//! * no bound, deadline or check is looser for the sake of a number.

mod altstack;
mod budget;
mod bulk;
pub mod compile;
mod component;
mod deadline;
mod dirty_pages;
pub mod engine;
pub mod error;
mod escape;
pub mod exchange;
mod files;
mod foreign;
pub mod function;
mod given;
mod grants;
mod host;
mod laps;
mod library;
mod names;
pub mod netns;
pub mod park;
mod program;
mod registers;
pub mod seat;
pub mod settings;
pub mod snapshot;
mod stack;
pub mod stdin;
pub mod store;
pub mod thread;
mod trace;
mod validate;
pub mod waiting;
mod wasi;

pub use budget::{BudgetSettings, OverBudget};
pub use compile::{CompileLimits, Compiler};
pub use engine::FaasletEngine;
pub use error::{FaasletError, SetupError, StartError, WatcherError};
pub use exchange::Exchange;
pub use function::Function;
pub use granted_network::{Grant as NetworkGrant, NetworkError, Reach};
pub use grants::{DirGrant, Grants};
pub use settings::{EngineSettings, Profiling};
pub use store::Store;
