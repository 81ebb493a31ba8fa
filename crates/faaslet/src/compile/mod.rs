//! Where modules become machine code. A module of some KiB can take a compiler minutes and gigabytes, and who wrote it is not known: so a
//! tool compiles it in a process of its own, the tool's own executable once more, with limits ([`confine`]). Loading code that has
//! been compiled before needs none of this.

mod compiler;
mod worker;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use compiler::Compiler;
pub use confine::CompileLimits;
use confine::{ConfineError, Job, Limits, Scale};
use measure_core::base::interrupt;
use wasmtime::{Engine, Module};

use crate::component::is_component;
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use compiler::IS_WORKER_TOO;

/// By a module's size: CPython (8 MiB) takes a fifth of that CPU time in an unoptimised build, and less than half of the memory.
const SCALE: Scale = Scale {
    cpu_base: Duration::from_secs(10),
    cpu_per_mib: Duration::from_secs(5),
    memory_base_bytes: 256 << 20,
    memory_per_byte: 64,
    open_files: 32,
};
/// More threads would each want memory.
const MAX_THREADS: usize = 8;

/// In words, for a description's `settings`: how modules are compiled within `limits`.
#[must_use]
pub fn describe(limits: &CompileLimits) -> String {
    let mut text = format!(
        "compiling of modules in a process of its own: {}; no network, no files, no other processes (seccomp)",
        limits.describe(&SCALE)
    );
    for missing in confine::missing_here() {
        text.push_str("; ");
        text.push_str(missing);
    }
    text
}

/// To be called first thing in the `main` of a tool that compiles modules: compiles one and returns the exit code if this process was
/// started for that.
#[must_use]
pub fn worker_if_asked() -> Option<ExitCode> {
    IS_WORKER_TOO.store(true, Ordering::Relaxed);
    worker::run_if_asked()
}

impl FaasletEngine {
    /// The machine code of `wasm`, called `what` in errors, which is checked besides: a valid module, and one that may run.
    ///
    /// # Errors
    /// It is refused, passes a limit, or its compilation is given up.
    pub(crate) fn precompile(&self, what: &str, wasm: &[u8]) -> Result<Vec<u8>, FaasletError> {
        match self.compiler() {
            Compiler::Here => {
                worker::check_and_compile(self.engine_for(wasm)?, self.settings(), what, wasm)
            }
            Compiler::Process { limits, given_up } => {
                let given_up = || match given_up {
                    Some(flag) => flag.load(Ordering::Relaxed),
                    None => interrupt::received().is_some(),
                };
                let limits = limits.of_module(wasm.len() as u64, &SCALE);
                in_process(self, what, wasm, &limits, &given_up)
            }
        }
    }

    /// The engine for what `wasm` is: a module or a component.
    ///
    /// # Errors
    /// The host refuses the address space of components.
    pub(crate) fn engine_for(&self, wasm: &[u8]) -> Result<&Engine, FaasletError> {
        if is_component(wasm) {
            Ok(self.components()?.engine())
        } else {
            Ok(self.wasmtime())
        }
    }

    /// `wasm` as a module that this engine can run, kept nowhere.
    ///
    /// # Errors
    /// As [`FaasletEngine::precompile`].
    pub(crate) fn compile_module(&self, what: &str, wasm: &[u8]) -> Result<Module, FaasletError> {
        let code = self.precompile(what, wasm)?;
        // SAFETY: the code has just been made by this version with these settings for this CPU, and nobody else has held it.
        let module = unsafe { Module::deserialize(self.wasmtime(), code) };
        module.map_err(|e| FaasletError::refused(what, format!("it cannot be loaded: {e:#}")))
    }
}

fn in_process(
    engine: &FaasletEngine,
    what: &str,
    wasm: &[u8],
    limits: &Limits,
    given_up: &dyn Fn() -> bool,
) -> Result<Vec<u8>, FaasletError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let job = Job {
        // As it runs, even if it has been replaced on the disk since.
        program: Path::new("/proc/self/exe"),
        arguments: worker::arguments(engine.settings(), is_component(wasm)),
        environment: vec![
            ("RAYON_NUM_THREADS", OsString::from(threads.to_string())),
            ("LC_ALL", "C".into()),
        ],
        input: wasm,
        limits,
        files: None,
    };
    let output = confine::run(&job, given_up).map_err(|error| match error {
        ConfineError::Failed { code, said, .. } if code == Some(worker::REFUSED) => {
            FaasletError::refused(what, said)
        }
        error => failed(what, error),
    })?;
    output
        .read()
        .map_err(|e| failed(what, ConfineError::Start(e)))
}

fn failed(what: &str, error: ConfineError) -> FaasletError {
    match error {
        ConfineError::GivenUp => FaasletError::GivenUp {
            what: what.to_owned(),
        },
        limit if limit.is_of_the_work() => FaasletError::refused(
            what,
            format!("compiling it failed: {limit}{}", limit.how_to_raise()),
        ),
        source => FaasletError::Compiler {
            what: what.to_owned(),
            source,
        },
    }
}
