//! The other implementation, and where it may say something else.

use std::fs::File;
use std::path::Path;

use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::OutputFile;
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use super::answer::{Answer, BUFFER_BYTES};
use super::program::Step;
use super::table::Same;
use crate::error::FuzzError;
use crate::target::Finding;

/// Numbers of errors.
const BADF: u32 = 8;
const IO: u32 = 29;
const LOOP: u32 = 32;
const NOTDIR: u32 = 54;
const DIRECTORY: u8 = 3;
const SYMBOLIC_LINK: u8 = 7;

/// `wasmtime-wasi`.
pub struct Theirs(Linker<WasiP1Ctx>);

impl Theirs {
    /// Linked for modules of `engine`.
    ///
    /// # Errors
    /// It cannot be linked.
    pub fn new(engine: &Engine) -> Result<Self, FuzzError> {
        let mut linker = Linker::new(engine);
        p1::add_to_linker_sync(&mut linker, |context| context).map_err(FuzzError::engine)?;
        Ok(Self(linker))
    }

    /// Runs `module` on the directories below `root`.
    ///
    /// # Errors
    /// It does not return.
    pub fn run(&self, module: &Module, root: &Path, out: File) -> Result<(), Finding> {
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(true);
        builder.arg("program").stdout(OutputFile::new(out));
        for (name, perms) in [
            ("granted", FsPerms::ReadWrite),
            ("readable", FsPerms::ReadOnly),
        ] {
            builder
                .preopened_dir(root.join(name), format!("/{name}"), perms)
                .map_err(|e| format!("{e:#}"))?;
        }
        let mut store = Store::new(self.0.engine(), builder.build_p1());
        let result = self.0.instantiate(&mut store, module).and_then(|instance| {
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call(&mut store, ())
        });
        result.map_err(|e| format!("the other implementation: {e:#}"))
    }
}

/// Checks one answer against the other; docs/faaslet.md lists where they differ and may.
///
/// # Errors
/// How they differ.
pub fn agree(step: &Step, ours: &Answer, theirs: &Answer) -> Result<(), Finding> {
    if step.same == Same::Nothing {
        return Ok(());
    }
    if ours.errno != theirs.errno && !may_differ(step, ours.errno, theirs.errno) {
        return Err(format!("error {} instead of {}", ours.errno, theirs.errno));
    }
    if ours.errno != 0 || theirs.errno != 0 {
        return Ok(());
    }
    let differs = match step.same {
        Same::Everything => {
            (&ours.out, ours.used, &ours.buffer) != (&theirs.out, theirs.used, &theirs.buffer)
        }
        Same::Stat => {
            let is_dir = ours.out[16] == DIRECTORY;
            let at_the_link = forget_slash(step) && is_dir && theirs.out[16] == SYMBOLIC_LINK;
            let differs = ours.out[16..32] != theirs.out[16..32]
                || (!is_dir && ours.out[32..40] != theirs.out[32..40]);
            differs && !at_the_link
        }
        // One that fills the buffer may go on, from whatever the file system has next.
        Same::Entries | Same::EntryCount if ours.used.max(theirs.used) >= BUFFER_BYTES => false,
        Same::Entries => ours.entries() != theirs.entries(),
        Same::EntryCount => ours.entries().len() != theirs.entries().len(),
        Same::Errno | Same::Nothing => false,
    };
    if differs {
        return Err(format!("answer {ours:?} instead of {theirs:?}"));
    }
    Ok(())
}

fn may_differ(step: &Step, ours: u32, theirs: u32) -> bool {
    // What they have no number for is an I/O error; ours say which.
    let is_unnamed = theirs == IO && ours != 0;
    // They hold granted directories by descriptors that can only be looked through.
    let times = step.call == "fd_filestat_set_times" && theirs == BADF && ours == 0;
    // Opening as a directory what turns out to be a link fails one way or the other.
    let either = [LOOP, NOTDIR];
    let link = step.call == "path_open" && either.contains(&ours) && either.contains(&theirs);
    let slash = forget_slash(step) && ours == NOTDIR;
    is_unnamed || times || link || slash
}

/// They forget a slash at the end of a path where no link is followed, and tell of the link: to us it always names a directory.
fn forget_slash(step: &Step) -> bool {
    step.call == "path_filestat_get" && step.told.contains("/\"")
}
