//! What a module may import: `wasi_snapshot_preview1`, and nothing else.
//!
//! Programs that only compute and use their standard streams ([`LIGHT`]: most C programs, all of the
//! benchmarks' kernels) are served by a few functions of our own on plain host state, which cost nothing
//! until they are called. A program that imports any other function, or is given a directory, gets
//! wasmtime-wasi's whole context. The choice follows from the module's imports and its grants alone, is
//! made once when the function is loaded, and the light functions answer as the others would for a
//! program without files.

mod calls;
mod memory;
mod poll;

use wasmtime::{Engine, Linker};
use wasmtime_wasi::p1;

use crate::host::Host;

/// The only import module there is.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// The functions that need no file context.
pub const LIGHT: [&str; 19] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_seek",
    "fd_tell",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

/// How a program ends by itself: `proc_exit` unwinds it with this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("exit code {0}")]
pub(crate) struct ProcExit(pub(crate) i32);

/// Why a call does not return to its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the deadline passed in a call to the host")]
    Deadline,
    #[error("interrupted")]
    Interrupted,
}

/// The functions of [`LIGHT`].
pub(crate) fn light(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    calls::link(&mut linker)?;
    poll::link(&mut linker)?;
    Ok(linker)
}

/// All of preview 1, over a file context.
pub(crate) fn full(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |host: &mut Host| {
        // Invariant: `Function::start` makes it for every store of this linker.
        let files = host.files.as_deref_mut().expect("a file context");
        &mut files.wasi
    })?;
    // Theirs would sleep past the deadline and skip the check of the exit code's range.
    linker.allow_shadowing(true);
    poll::link(&mut linker)?;
    calls::link_exit(&mut linker)?;
    Ok(linker)
}
