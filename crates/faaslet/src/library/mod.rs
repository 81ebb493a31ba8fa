//! Functions whose module was compiled to a shared library by way of C (the crate `second-engine`).
//!
//! Such a function is a Faaslet as any other: thread, memory slot, files, limits and deadline are the same, made by the same
//! code. Only the module's own code is the library's, called by a small module that stands for it ([`adapter`]).
//! * Memory is the engine's: as its own code, the library's has no bounds check, and the guard behind a slot keeps what it
//!   can reach apart. A library is made only of a module whose offsets end in the guard.
//! * A fault in the library's code is a trap, and so is a stack that is used up: it ends in a guard page. Its own traps are
//!   illegal instructions, so that they need no stack either.
//! * The deadline interrupts the library's code at any instruction, as it does the engine's.

mod adapter;
mod fault;

use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use measure_core::base::trust;
use second_engine::abi::{self, PARAMS_MAX, Start, Status};
use wasm_interface::Interface;
use wasmtime::{Caller, Engine, Extern, Func, Linker, Memory, Module, Trap, ValRaw};

use crate::error::FaasletError;
use crate::escape::Escape;
use crate::host::Host;
use crate::settings::{GUARD_BYTES, RESERVATION_BYTES};
use adapter::Outline;
pub(crate) use fault::fault;

/// A library, loaded.
pub(crate) struct Library {
    entry: abi::Run,
    exit: usize,
    code: Range<usize>,
    outline: Outline,
    /// What the pointers point into.
    _handle: Handle,
    /// The loader takes two files of one name for one; under this name there is no other while this is open.
    _file: File,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Loads the library `path`, made of `wasm`.
    ///
    /// # Errors
    /// Others may write to it, or it is no such library.
    pub(crate) fn open(path: &Path, wasm: &[u8]) -> Result<Self, FaasletError> {
        let file = trust::open(path)?.into_file();
        let what = path.display().to_string();
        let refused = |cause: &dyn fmt::Display| FaasletError::refused(&what, cause);
        let interface = Interface::read(wasm).map_err(|e| refused(&e))?;
        let outline = Outline::new(&interface).map_err(|e| refused(&e))?;
        // It is loaded from the very descriptor that was checked.
        let checked = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: as with all compiled code of a trusted place, its initialisers are those of our own compiler.
        let handle = unsafe { Handle::open(Some(checked), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|e| refused(&e))?;
        // SAFETY: the types are those that the library was compiled against.
        let (entry, exit) = unsafe {
            let entry = handle.get::<abi::Run>(abi::RUN.to_bytes_with_nul());
            let exit = handle.get::<*const c_void>(abi::ESCAPE.to_bytes_with_nul());
            match (entry, exit) {
                (Ok(entry), Ok(exit)) => (*entry, exit.into_raw().addr()),
                (Err(e), _) | (_, Err(e)) => return Err(refused(&e)),
            }
        };
        let code = mapping_of(entry as usize)
            .filter(|(_, inode)| file.metadata().is_ok_and(|meta| meta.ino() == *inode))
            .ok_or_else(|| refused(&"another library was loaded in its place"))?
            .0;
        Ok(Self {
            entry,
            exit,
            code,
            outline,
            _handle: handle,
            _file: file,
        })
    }

    /// The module that stands for the library's.
    pub(crate) fn adapter(&self, engine: &Engine) -> wasmtime::Result<Module> {
        Module::new(engine, self.outline.adapter())
    }

    /// Offers the adapter what runs this library.
    pub(crate) fn link(
        library: &std::sync::Arc<Self>,
        linker: &mut Linker<Host>,
        stack_limit_bytes: usize,
    ) -> wasmtime::Result<()> {
        let library = library.clone();
        linker.func_wrap(
            adapter::MODULE,
            adapter::RUN,
            move |caller: Caller<'_, Host>| library.run(caller, stack_limit_bytes),
        )?;
        Ok(())
    }

    /// Runs the module in a fresh instance over the memory of `caller`.
    fn run(&self, mut caller: Caller<'_, Host>, stack_limit_bytes: usize) -> wasmtime::Result<()> {
        let lost = || wasmtime::Error::msg("the adapter is not what it was");
        let memory = caller
            .get_export("memory")
            .and_then(Extern::into_memory)
            .ok_or_else(lost)?;
        let calls: Option<Vec<Func>> = (0..self.outline.calls.len())
            .map(|i| {
                caller
                    .get_export(&i.to_string())
                    .and_then(Extern::into_func)
            })
            .collect();
        let base = memory.data_ptr(&caller);
        let memory_bytes = memory.data_size(&caller) as u64;
        let watch = caller.data().watch.clone();
        let here = 0_u8;
        let mut run = Run {
            caller,
            memory,
            calls: calls.ok_or_else(lost)?,
            outline: &self.outline,
            error: None,
        };
        let mut start = Start {
            context: (&raw mut run).cast(),
            call,
            grow,
            memory: base,
            memory_bytes,
            stack_limit: (&raw const here).addr().saturating_sub(stack_limit_bytes),
            escape_sp: 0,
            back: std::ptr::null_mut(),
        };
        let start = &raw mut start;
        let reach = usize::try_from(RESERVATION_BYTES + GUARD_BYTES).unwrap_or(usize::MAX);
        let escape = Escape {
            code: self.code.clone(),
            exit: self.exit,
            memory: base.addr()..base.addr().saturating_add(reach),
            start,
        };
        // SAFETY: the library is called as it expects; what it leaves by a jump are frames of its own alone.
        let status = watch.escapable(&escape, || unsafe { (self.entry)(start) });
        match Status::from_number(status) {
            Some(Status::Done) => Ok(()),
            Some(Status::Stopped) => Err(run.error.take().unwrap_or_else(lost)),
            Some(Status::NoInstance) => Err(wasmtime::Error::msg("no memory for its instance")),
            status => Err(trap(status).into()),
        }
    }
}

/// The trap that a library's [`Status`] stands for.
fn trap(status: Option<Status>) -> Trap {
    match status {
        Some(Status::Late) => Trap::Interrupt,
        Some(Status::Memory) => Trap::MemoryOutOfBounds,
        Some(Status::Stack) => Trap::StackOverflow,
        Some(Status::IndirectCall) => Trap::BadSignature,
        Some(Status::DivisionByZero) => Trap::IntegerDivisionByZero,
        Some(Status::Overflow) => Trap::IntegerOverflow,
        Some(Status::Conversion) => Trap::BadConversionToInteger,
        Some(Status::Null) => Trap::NullReference,
        _ => Trap::UnreachableCodeReached,
    }
}

/// What the library's calls to the host need.
struct Run<'a, 'b> {
    caller: Caller<'a, Host>,
    memory: Memory,
    calls: Vec<Func>,
    outline: &'b Outline,
    /// Why the program is not to go on.
    error: Option<wasmtime::Error>,
}

/// The library calls function `import` of WASI.
unsafe extern "C" fn call(context: *mut c_void, import: u32, values: *mut u64) -> i32 {
    // SAFETY: the context of a start is its `Run`, which nobody else uses while the library runs.
    let run = unsafe { &mut *context.cast::<Run<'_, '_>>() };
    let import = import as usize;
    let (Some(function), Some(signature)) = (run.calls.get(import), run.outline.calls.get(import))
    else {
        return 1;
    };
    let params = signature.params.len();
    let mut raw = [ValRaw::u64(0); PARAMS_MAX];
    for (i, raw) in raw.iter_mut().take(params).enumerate() {
        // SAFETY: the library passes as many values as the function has parameters, at least one.
        *raw = ValRaw::u64(unsafe { *values.add(i) });
    }
    let room = params.max(1);
    // SAFETY: the function has the type that the outline says, of integers alone, and the slice room for its result.
    match unsafe { function.call_unchecked(&mut run.caller, &raw mut raw[..room]) } {
        Ok(()) => {
            // SAFETY: as above.
            unsafe { *values = raw[0].get_u64() };
            0
        }
        Err(error) => {
            run.error = Some(error);
            1
        }
    }
}

/// The library's memory grows; its address space is reserved, so that it stays where it is.
unsafe extern "C" fn grow(context: *mut c_void, pages: u64) -> i64 {
    // SAFETY: as in `call`.
    let run = unsafe { &mut *context.cast::<Run<'_, '_>>() };
    let grown = run.memory.grow(&mut run.caller, pages);
    // Of a growth by nothing no limiter is told.
    if let Err(stop) = run.caller.data().watch.in_time() {
        run.error = Some(stop.into());
        return abi::GROW_STOPPED;
    }
    grown
        .ok()
        .and_then(|before| i64::try_from(before).ok())
        .unwrap_or(-1)
}

/// The mapping that `address` lies in, and the inode of its file.
fn mapping_of(address: usize) -> Option<(Range<usize>, u64)> {
    let maps = procfs::process::Process::myself().ok()?.maps().ok()?;
    maps.into_iter()
        .filter_map(|map| {
            let (from, to) = map.address;
            let range = usize::try_from(from).ok()?..usize::try_from(to).ok()?;
            Some((range, map.inode))
        })
        .find(|(range, _)| range.contains(&address))
}
