//! Functions whose module was compiled to a shared library by way of C (the crate `second-engine`).
//!
//! Such a function is a Faaslet as any other: thread, memory slot, files, limits and deadline are the same, made by the same
//! code. Only the module's own code is the library's, called by a small module that stands for it ([`adapter`]).
//! * Memory is the engine's, mapped copy-on-write from an image of its data: as its own code, the library's has no bounds check,
//!   and the guard behind a slot keeps what it can reach apart. A library is made only of a module whose offsets end in the guard.
//! * Instance and tables are the host's ([`block`]): a start that is left loses nothing, and the next finds nothing of it.
//! * A fault in the library's code is a trap, and so is a stack that is used up: it ends in a guard page. Its own traps are
//!   illegal instructions, so that they need no stack either.
//! * The deadline interrupts the library's code at any instruction, as it does the engine's.

mod adapter;
mod block;
mod fault;

use std::ffi::{CStr, c_void};
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::ptr;
use std::sync::Arc;

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use second_engine::abi::{self, Entry, Layout, PARAMS_MAX, Start, Status};
use second_engine::{Call, Parts};
use wasmtime::{Caller, Extern, Linker, Memory, Module, ModuleExport, Trap, ValRaw};

use crate::error::FaasletError;
use crate::escape::Escape;
use crate::host::Host;
use crate::settings::{GUARD_BYTES, RESERVATION_BYTES};
pub(crate) use adapter::adapter;
use block::Blocks;
pub(crate) use fault::fault;

/// The most elements that a table of a library's may have, at 32 bytes each, and then some: what a block may be at most.
const BLOCK_BYTES_MAX: u64 = 16 << 20;

/// A library, loaded, for what one module begins with.
pub(crate) struct Library {
    make: abi::Run,
    run: abi::Run,
    exit: usize,
    code: Range<usize>,
    begin: Option<Entry>,
    entry: Entry,
    globals: Vec<u128>,
    blocks: Blocks,
    calls: Vec<(ModuleExport, Call)>,
    memory: ModuleExport,
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
    /// Loads the library in `file`, which the trusted alone can write to, for a module of these `parts`, whose [`adapter`] is
    /// `module`. It is called `what` in errors.
    ///
    /// # Errors
    /// It is no such library.
    pub(crate) fn open(
        file: File,
        what: &str,
        parts: &Parts<'_>,
        module: &Module,
    ) -> Result<Self, FaasletError> {
        let refused = |cause: &dyn fmt::Display| FaasletError::refused(what, cause);
        // It is loaded from the very descriptor that was checked.
        let checked = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: as with all compiled code of a trusted place, its initialisers are those of our own compiler.
        let handle = unsafe { Handle::open(Some(checked), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|e| refused(&e))?;
        // SAFETY: the types are those that the library was compiled against; of the last only the address is used.
        let (make, run, layout, exit) = unsafe {
            (
                symbol::<abi::Run>(&handle, abi::MAKE).map_err(|e| refused(&e))?,
                symbol::<abi::Run>(&handle, abi::RUN).map_err(|e| refused(&e))?,
                *symbol::<*const Layout>(&handle, abi::LAYOUT).map_err(|e| refused(&e))?,
                symbol::<*const c_void>(&handle, abi::ESCAPE).map_err(|e| refused(&e))?,
            )
        };
        if layout.changed_bytes > layout.block_bytes || layout.block_bytes > BLOCK_BYTES_MAX {
            return Err(refused(&format_args!("it asks for {layout:?}")));
        }
        // SAFETY: as above.
        let entry = |index| unsafe { symbol::<Entry>(&handle, &abi::entry_symbol(index)) };
        let begin = parts.begin.map(entry).transpose();
        let (begin, entry) = (begin.map_err(|e| refused(&e))?, entry(parts.entry));
        let code = mapping_of(run as usize)
            .filter(|(_, inode)| file.metadata().is_ok_and(|meta| meta.ino() == *inode))
            .ok_or_else(|| refused(&"another library was loaded in its place"))?
            .0;
        let export = |name: &str| {
            let export = module.get_export_index(name);
            export.ok_or_else(|| refused(&format_args!("its adapter does not export `{name}`")))
        };
        let calls = (0..).zip(&parts.calls);
        let calls = calls.map(|(i, call): (u32, _)| Ok((export(&i.to_string())?, call.clone())));
        Ok(Self {
            make,
            run,
            exit: exit.addr(),
            code,
            begin,
            entry: entry.map_err(|e| refused(&e))?,
            globals: parts.globals.clone(),
            blocks: Blocks::new(layout),
            calls: calls.collect::<Result<_, FaasletError>>()?,
            memory: export(adapter::MEMORY)?,
            _handle: handle,
            _file: file,
        })
    }

    /// Offers the adapter what runs this library.
    pub(crate) fn link(
        library: &Arc<Self>,
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

    /// Runs the module once, over the memory of `caller`.
    fn run(&self, mut caller: Caller<'_, Host>, stack_limit_bytes: usize) -> wasmtime::Result<()> {
        let memory = caller
            .get_module_export(&self.memory)
            .and_then(Extern::into_memory)
            .ok_or_else(lost)?;
        let base = memory.data_ptr(&caller);
        let memory_bytes = memory.data_size(&caller) as u64;
        let watch = caller.data().watch.clone();
        let mut block = self.blocks.take();
        let here = 0_u8;
        let mut run = Run {
            caller,
            memory,
            library: self,
            error: None,
        };
        let mut start = Start {
            context: (&raw mut run).cast(),
            call,
            grow,
            block: block.as_mut_ptr(),
            globals: self.globals.as_ptr(),
            begin: self.begin,
            entry: Some(self.entry),
            memory: base,
            memory_bytes,
            stack_limit: (&raw const here).addr().saturating_sub(stack_limit_bytes),
            escape_sp: 0,
            back: ptr::null_mut(),
        };
        let start = &raw mut start;
        let reach = usize::try_from(RESERVATION_BYTES + GUARD_BYTES).unwrap_or(usize::MAX);
        let escape = Escape {
            code: self.code.clone(),
            exit: self.exit,
            memory: base.addr()..base.addr().saturating_add(reach),
            start,
        };
        // SAFETY: the library is called as it expects, on a block of its size; what it leaves by a jump are frames of its own alone.
        let enter = |function: abi::Run| watch.escapable(&escape, || unsafe { function(start) });
        let mut status = Status::Done as i32;
        if block.is_new() {
            status = enter(self.make);
            if status == Status::Done as i32 {
                block.keep(self.blocks.layout());
            }
        }
        if status == Status::Done as i32 {
            status = enter(self.run);
        }
        self.blocks.give_back(block);
        match Status::from_number(status) {
            Some(Status::Done) => Ok(()),
            Some(Status::Stopped) => Err(run.error.take().unwrap_or_else(lost)),
            Some(Status::NoInstance) => Err(wasmtime::Error::msg("no room for its tables")),
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

fn lost() -> wasmtime::Error {
    wasmtime::Error::msg("the adapter is not what it was")
}

/// What `name` stands for in a library.
///
/// # Safety
/// It is of type `T`, and not used when the library is closed.
unsafe fn symbol<T: Copy>(handle: &Handle, name: &CStr) -> Result<T, libloading::Error> {
    // SAFETY: as the caller vouches for.
    unsafe { handle.get::<T>(name.to_bytes_with_nul()) }.map(|symbol| *symbol)
}

/// What the library's calls to the host need.
struct Run<'a, 'b> {
    caller: Caller<'a, Host>,
    memory: Memory,
    library: &'b Library,
    /// Why the program is not to go on.
    error: Option<wasmtime::Error>,
}

/// The library calls function `import` of WASI.
unsafe extern "C" fn call(context: *mut c_void, import: u32, values: *mut u64) -> i32 {
    // SAFETY: the context of a start is its `Run`, which nobody else uses while the library runs.
    let run = unsafe { &mut *context.cast::<Run<'_, '_>>() };
    let Some((export, signature)) = run.library.calls.get(import as usize) else {
        return 1;
    };
    let function = run.caller.get_module_export(export);
    let Some(function) = function.and_then(Extern::into_func) else {
        return 1;
    };
    let params = signature.params.len();
    let mut raw = [ValRaw::u64(0); PARAMS_MAX];
    for (i, raw) in raw.iter_mut().take(params).enumerate() {
        // SAFETY: the library passes as many values as the function has parameters, at least one.
        *raw = ValRaw::u64(unsafe { *values.add(i) });
    }
    let room = params.max(1);
    // SAFETY: the function has the type that the module's import has, of integers alone, and the slice room for its result.
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
