//! A program run by the engine itself, with the WASI of its makers: what our own has to agree with. The memory can be
//! looked at afterwards, however it ended.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};
use wasmtime::{Config, Engine, Linker, Module, OptLevel, Store, Trap};
use wasmtime_wasi::cli::OutputFile;
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use super::end::End;
use crate::error::FuzzError;
use crate::target::Finding;

/// What programs are called.
pub(super) const PROGRAM: &str = "program";
/// Operators after which a program counts as endless.
const FUEL: u64 = 1_000_000;

/// What came of a program.
pub struct Outcome {
    pub end: End,
    pub output: Vec<u8>,
    /// None if it could not begin.
    pub memory: Option<Vec<u8>>,
}

/// An engine and what it links programs to.
pub struct Raw {
    linker: Linker<WasiP1Ctx>,
    has_fuel: bool,
}

impl Raw {
    /// One that shares as little as possible with ours: no optimisation, each access checked, an end by counting.
    ///
    /// # Errors
    /// The engine is not to be had.
    pub fn plain() -> Result<Self, FuzzError> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::None)
            .memory_reservation(0)
            .memory_guard_size(0)
            .signals_based_traps(false)
            .concurrency_support(false)
            .consume_fuel(true);
        Self::new(&Engine::new(&config).map_err(FuzzError::engine)?, true)
    }

    /// `engine`, which has fuel or not.
    ///
    /// # Errors
    /// The linker cannot be had.
    pub fn new(engine: &Engine, has_fuel: bool) -> Result<Self, FuzzError> {
        let mut linker = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |context| context).map_err(FuzzError::engine)?;
        Ok(Self { linker, has_fuel })
    }

    /// Compiles `wasm`.
    ///
    /// # Errors
    /// It does not compile, though it is valid.
    pub fn compile(&self, wasm: &[u8]) -> Result<Module, Finding> {
        Module::new(self.linker.engine(), wasm).map_err(|e| format!("it does not compile: {e:#}"))
    }

    /// Runs `module` to its end.
    ///
    /// # Errors
    /// It ended in a way that no program can.
    pub fn run(&self, module: &Module) -> Result<Outcome, Finding> {
        let out = output_file()?;
        let theirs = out.try_clone().map_err(|e| format!("no descriptor: {e}"))?;
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(true);
        builder.arg(PROGRAM).stdout(OutputFile::new(theirs));
        let mut store = Store::new(self.linker.engine(), builder.build_p1());
        if self.has_fuel {
            store.set_fuel(FUEL).map_err(|e| e.to_string())?;
        }
        let instance = self.linker.instantiate(&mut store, module);
        let started = instance.and_then(|instance| {
            let memory = instance.get_memory(&mut store, "memory");
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            Ok((memory, start.call(&mut store, ())))
        });
        let (memory, end) = match started {
            Ok((memory, Ok(()))) => (memory, End::Exit(0)),
            Ok((memory, Err(error))) => (memory, end_of(&error)),
            Err(error) => (None, end_of(&error)),
        };
        Ok(Outcome {
            end,
            output: written(out)?,
            memory: memory.map(|memory| memory.data(&store).to_vec()),
        })
    }
}

fn end_of(error: &wasmtime::Error) -> End {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return End::Exit(*code);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => End::Late,
        Some(trap) => End::Trap(*trap),
        // It ends a program that passes an address which is no multiple of four.
        None => End::OtherWasi,
    }
}

/// A file in memory.
///
/// # Errors
/// There is none to be had.
pub fn output_file() -> Result<File, Finding> {
    memfd_create("output", MFdFlags::MFD_CLOEXEC)
        .map(|fd: OwnedFd| File::from(fd))
        .map_err(|e| format!("no file in memory: {e}"))
}

/// All that `file` holds.
///
/// # Errors
/// It cannot be read.
pub fn written(mut file: File) -> Result<Vec<u8>, Finding> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|e| format!("its output cannot be read: {e}"))?;
    Ok(bytes)
}
