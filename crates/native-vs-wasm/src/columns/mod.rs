//! The columns there are.

pub mod engine;
pub mod native;
pub(crate) mod process;
pub(crate) mod replicate;
pub mod second_engine;
pub mod wasm;
mod whole_run;

pub use engine::{EngineColumn, EngineSetup};
pub use native::NativeColumn;
pub use process::Executable;
pub use second_engine::{SecondEngine, WASM2C};
pub use wasm::{WasmColumn, WasmProgram, WasmSetup};
pub use whole_run::WholeRun;

use crate::column::Task;

/// The arguments that tell a program its task.
pub type Words = fn(Task) -> Vec<String>;

/// Room for what a program writes: the live-out arrays of the largest dataset take an eighth of it.
const OUTPUT_LIMIT_BYTES: u32 = 1 << 30;

/// The phases of a run.
pub mod phase {
    /// A process: from asked for to loaded.
    pub const SPAWN: &str = "spawn";
    /// A process: from there until its end is known here.
    pub const RUN: &str = "run";
    /// A process: collecting what is left of it.
    pub const REAP: &str = "reap";
    /// Wasm: from asked for to the new thread's first instruction.
    pub const THREAD: &str = "thread";
    /// Wasm: from the instance's end to the thread joined.
    pub const JOIN: &str = "join";
}
