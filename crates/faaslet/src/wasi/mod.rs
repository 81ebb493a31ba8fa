//! What a module may import: `wasi_snapshot_preview1`, and nothing else.
//!
//! Programs that only compute and use their standard streams ([`LIGHT`]: most C programs, all of the
//! benchmarks' kernels) are served by a few functions on plain host state, which cost nothing
//! until they are called. A program that imports any other function, or is given a directory, gets a table of
//! descriptors and all of preview 1 (`files`). The choice follows from the module's imports and its grants
//! alone, is made once when the function is loaded, and the light functions answer as the others would for a
//! program without files.

mod calls;
mod errno;
mod files;
mod memory;
mod poll;

use wasmtime::{Engine, Linker};

use crate::host::Host;

pub(crate) use files::Files;

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

/// The functions of preview 1 beyond [`LIGHT`].
pub const FILES: [&str; 27] = [
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_pwrite",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "proc_raise",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Whether `name` of [`MODULE`] is offered to some program.
#[must_use]
pub fn offered(name: &str) -> bool {
    LIGHT.contains(&name) || FILES.contains(&name)
}

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

/// All of preview 1 for programs with files, else the functions of [`LIGHT`].
pub(crate) fn linker(engine: &Engine, files: bool) -> wasmtime::Result<Linker<Host>> {
    if files { full(engine) } else { light(engine) }
}

/// The functions of [`LIGHT`].
fn light(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    calls::link(&mut linker)?;
    poll::link(&mut linker)?;
    Ok(linker)
}

/// All of preview 1, over a table of descriptors.
fn full(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = light(engine)?;
    // Those that are told a descriptor are told any.
    linker.allow_shadowing(true);
    files::link(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Deadlines;
    use crate::host::{Grants, Host};
    use crate::settings::EngineSettings;

    fn names(linker: &Linker<Host>, engine: &Engine) -> Vec<String> {
        let grants = std::sync::Arc::new(Grants::default());
        let settings = EngineSettings::default();
        let watch = Deadlines::watch(&std::sync::Arc::default(), settings.deadline);
        let host = Host::new(&grants, &settings, watch);
        let mut store = wasmtime::Store::new(engine, host);
        let mut names: Vec<String> = linker
            .iter(&mut store)
            .inspect(|(module, ..)| assert_eq!(*module, MODULE))
            .map(|(_, name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_linkers_offer_what_the_lists_say() {
        let engine = Engine::default();
        assert_eq!(names(&light(&engine).expect("a linker"), &engine), LIGHT);
        let mut all: Vec<&str> = LIGHT.into_iter().chain(FILES).collect();
        all.sort_unstable();
        assert_eq!(names(&full(&engine).expect("a linker"), &engine), all);
    }
}
