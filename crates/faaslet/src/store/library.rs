//! The second engine's code in the store: a function's library `library-<key>-<content>.so` beside it, of which its snapshots
//! are run too, and the code of the modules that stand for it in the engine (`adapter-*`, `proto-adapter-*`), which hold the data.
//!
//! * `<key>` names the code of the module and all that made the library, `<content>` is the hash of the file, checked before it
//!   is loaded, as with the engine's own code.
//! * Several functions may have the same code and other data (every function in Python has): a library is compiled once.

use std::fs::{self, File};
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use measure_core::base::ids::FunctionId;
use measure_core::base::label::Owner;
use second_engine::{Parts, SecondEngineError, Toolchain};
use wasmtime::Module;

use super::code::{self, Kind};
use super::dir::Dir;
use super::{Codegen, Store};
use crate::component::is_component;
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::function::Function;
use crate::grants::Grants;
use crate::library;
use crate::program::Program;
use crate::settings::GUARD_BYTES;
use crate::validate::{looks_fit, within_limits};

const PREFIX: &str = "library-";
const SUFFIX: &str = ".so";
/// What one tool may take for one file, on however slow a host.
const COMPILE_LIMIT: Duration = Duration::from_secs(1200);
/// Compiling more than this takes minutes, for which nobody waits who has not asked for it.
const LARGE_BYTES: usize = 1 << 20;
/// Two threads that compile must not write into one file.
static COMPILATIONS: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// Sees to it that the library of `id` is there, made with `tools`.
    ///
    /// # Errors
    /// No such function, one that is refused or cannot be compiled, or a store that others can write to.
    pub fn codegen_by_c(
        &self,
        engine: &FaasletEngine,
        tools: &Toolchain,
        id: &FunctionId,
    ) -> Result<Codegen, FaasletError> {
        let (dir, wasm) = self.trusted(id)?;
        let what = id.to_string();
        looks_fit(engine.settings(), &what, &wasm)?;
        let parts = parts(&what, &wasm)?;
        let made = self.find_or_make(tools, id, &dir, &wasm, &tools.key(&parts, GUARD_BYTES))?;
        Ok(made.1)
    }

    /// The library of `id`, whose module `wasm` is known by `key`, and whether it was there.
    fn find_or_make(
        &self,
        tools: &Toolchain,
        id: &FunctionId,
        dir: &Dir,
        wasm: &[u8],
        key: &str,
    ) -> Result<(File, Codegen), FaasletError> {
        if let Some(file) = find(dir, key)? {
            return Ok((file, Codegen::Present));
        }
        let _compiling = dir.lock_compiling()?;
        if let Some(file) = find(dir, key)? {
            return Ok((file, Codegen::Present));
        }
        let library = match self.elsewhere(key)? {
            Some(library) => library,
            None => compile(tools, &id.to_string(), dir, wasm)?,
        };
        let _lock = dir.lock()?;
        dir.sweep_temporaries()?;
        let name = format!("{PREFIX}{key}-{}{SUFFIX}", code::hash(&library));
        dir.install(&name, &library)?;
        for old in dir.names()? {
            if old.starts_with(PREFIX) && old.ends_with(SUFFIX) && old != name {
                dir.remove(&old);
            }
        }
        let file = find(dir, key)?.ok_or_else(|| {
            let gone =
                "the library just installed is gone: is another program writing to this store?";
            FaasletError::io(dir.path(), std::io::Error::other(gone))
        })?;
        Ok((file, Codegen::Compiled))
    }

    /// A library of the same code that another function has.
    fn elsewhere(&self, key: &str) -> Result<Option<Vec<u8>>, FaasletError> {
        for other in self.list()? {
            // Whatever is wrong with that one is nothing to us.
            let Ok(dir) = self.dir(&other) else { continue };
            if dir.require_trust().is_err() {
                continue;
            }
            if let Ok(Some(mut file)) = find(&dir, key) {
                let mut library = Vec::new();
                file.read_to_end(&mut library)
                    .map_err(|e| FaasletError::io(dir.path(), e))?;
                return Ok(Some(library));
            }
        }
        Ok(None)
    }

    /// The library of `id`, found, or made if that takes seconds.
    fn library(
        &self,
        tools: &Toolchain,
        id: &FunctionId,
        dir: &Dir,
        wasm: &[u8],
        key: &str,
    ) -> Result<File, FaasletError> {
        match find(dir, key)? {
            Some(file) => Ok(file),
            None if wasm.len() > LARGE_BYTES => Err(FaasletError::NotCompiled(id.to_string())),
            None => Ok(self.find_or_make(tools, id, dir, wasm, key)?.0),
        }
    }
}

impl Function {
    /// Loads `id` from `store`, as the second engine's code made with `tools`, and gives it `grants` at every start. It is
    /// compiled first if need be, if that takes seconds.
    ///
    /// # Errors
    /// As [`Function::load`]; it cannot be compiled, or has to be beforehand.
    pub fn load_by_c(
        engine: &FaasletEngine,
        store: &Store,
        tools: &Toolchain,
        id: &FunctionId,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        let (dir, wasm) = store.trusted(id)?;
        let what = id.to_string();
        looks_fit(engine.settings(), &what, &wasm)?;
        let parts = parts(&what, &wasm)?;
        let file = store.library(tools, id, &dir, &wasm, &tools.key(&parts, GUARD_BYTES))?;
        let (adapter, hash) = adapter(engine, &dir, Kind::ADAPTER, &what, &parts)?;
        code::sweep(&dir, Kind::ADAPTER, &[hash])?;
        Program::by_library(engine, &what, file, &parts, &adapter, grants).map(Self::from)
    }

    /// Loads the snapshots of `id`, taken first if need be, as the second engine's code: each start is to be one of them.
    ///
    /// # Errors
    /// As [`Function::load_by_c`] and [`Function::load_snapshots`].
    pub fn load_snapshots_by_c(
        engine: &FaasletEngine,
        store: &Store,
        tools: &Toolchain,
        id: &FunctionId,
        grants: &Grants,
    ) -> Result<Vec<Self>, FaasletError> {
        let (dir, wasm) = store.trusted(id)?;
        let what = id.to_string();
        let snapshots = store.load_snapshots(engine, id)?;
        let key = tools.key(&parts(&what, &wasm)?, GUARD_BYTES);
        let mut hashes = Vec::new();
        let mut functions = Vec::new();
        for snapshot in &snapshots.wasm {
            within_limits(engine, &what, snapshot)?;
            let parts = parts(&what, snapshot)?;
            if tools.key(&parts, GUARD_BYTES) != key {
                let why = "the code of its snapshot is not its own; take it anew with `codegen --snapshot --renew`";
                return Err(FaasletError::refused(&what, why));
            }
            let file = store.library(tools, id, &dir, &wasm, &key)?;
            let (adapter, hash) = adapter(engine, &dir, Kind::PROTO_ADAPTER, &what, &parts)?;
            hashes.push(hash);
            let grants = grants.clone();
            let program = Program::by_library(engine, &what, file, &parts, &adapter, grants)?;
            functions.push(Self::from(program));
        }
        code::sweep(&dir, Kind::PROTO_ADAPTER, &hashes)?;
        Ok(functions)
    }
}

fn parts<'a>(what: &str, wasm: &'a [u8]) -> Result<Parts<'a>, FaasletError> {
    if is_component(wasm) {
        let why = "it is a component, and the second engine compiles modules: preview-1 programs";
        return Err(FaasletError::refused(what, why));
    }
    Parts::read(wasm).map_err(|e| failed(what, e))
}

fn failed(what: &str, error: SecondEngineError) -> FaasletError {
    let what = what.to_owned();
    match error {
        SecondEngineError::Interrupted => FaasletError::GivenUp { what },
        source => FaasletError::SecondEngine { what, source },
    }
}

/// The library known by `key`, if it is in `dir` and whole.
fn find(dir: &Dir, key: &str) -> Result<Option<File>, FaasletError> {
    let prefix = format!("{PREFIX}{key}-");
    for name in dir.names()? {
        let content = name.strip_prefix(&prefix);
        let Some(content) = content.and_then(|rest| rest.strip_suffix(SUFFIX)) else {
            continue;
        };
        let Some((file, path)) = dir.open_trusted(&name)? else {
            continue;
        };
        if code::hash_file(&file).map_err(|e| FaasletError::io(&path, e))? == content {
            return Ok(Some(file));
        }
        // Damaged: never loaded; made anew by the caller.
        dir.remove(&name);
    }
    Ok(None)
}

/// Compiles `wasm` in `dir`, which the trusted alone can write to.
fn compile(tools: &Toolchain, what: &str, dir: &Dir, wasm: &[u8]) -> Result<Vec<u8>, FaasletError> {
    let number = COMPILATIONS.fetch_add(1, Ordering::Relaxed);
    let name = format!(".library.{number}.{}.tmp", Owner::this_process());
    let path = dir.path().join(&name);
    let library = tools
        .compile(wasm, &path, GUARD_BYTES, COMPILE_LIMIT)
        .map_err(|e| failed(what, e))
        .and_then(|()| fs::read(&path).map_err(|e| FaasletError::io(&path, e)));
    dir.remove(&name);
    library
}

/// The adapter for what `parts` begin with, compiled unless its code is in `dir`, and the hash that it is known by.
fn adapter(
    engine: &FaasletEngine,
    dir: &Dir,
    kind: Kind,
    what: &str,
    parts: &Parts<'_>,
) -> Result<(Module, String), FaasletError> {
    let wasm = library::adapter(parts);
    let hash = code::hash(&wasm);
    if let Some(found) = code::find(dir, engine, kind, &wasm)? {
        let module = found.into_module(what)?;
        return Ok((module, hash));
    }
    // A module of our own, whatever the data.
    let code = engine
        .wasmtime()
        .precompile_module(&wasm)
        .map_err(|e| FaasletError::refused(what, format!("{e:#}")))?;
    let _lock = dir.lock()?;
    let installed = code::install(dir, engine, kind, &wasm, &code)?;
    Ok((installed.into_module(what)?, hash))
}
