//! The function store: `<store>/<user>/<function>/function.wasm` beside its compiled code,
//! `function-<wasm>-<engine>-<code>.cwasm`, what it is given (`grants.json`) and snapshots of it.
//!
//! What is said of modules holds for components too, which lie under the same names.
//! * `<wasm>` is the hash of the module, `<engine>` that of the engine's version, its flags and the CPU
//!   features that it compiles for: code that does not match is never found, let alone run.
//! * `<code>` is the hash of the compiled file, checked before it is mapped.
//! * Compiled code runs unchecked, so it is loaded only from a store that nobody but root, ourselves and
//!   whoever called `sudo` can write to, all the way up; and from the very descriptor that was checked.
//! * Files appear whole (temporary file, fsync, rename) and no symbolic link is followed below the root.
//!
//! `manifest` and `snapshots` use [`Store`], and it shows their types: they are the rest of what it does, kept apart for their length.

mod code;
mod dir;
mod functions;
mod library;
mod manifest;
mod quota;
mod snapshots;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use measure_core::base::ids::{self, FunctionId};
use wasmtime::Module;

use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::validate::{looks_fit, too_large, within_limits};
use code::{Kind, Loaded};
use dir::Dir;

pub use crate::validate::{MAX_MODULE_BYTES, validate};
pub use manifest::{Manifest, ManifestDir};
pub use quota::{Quota, Usage};
pub use snapshots::{MAX_SNAPSHOTS, SnapshotOptions, Snapshots};

/// The module's file name.
pub const WASM: &str = "function.wasm";

/// A function store. Nothing is read or made before it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// Whether compiled code was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codegen {
    /// It was there.
    Present,
    /// It was compiled and installed.
    Compiled,
}

/// What an upload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// The function is new.
    New,
    /// It replaced another module.
    Replaced,
    /// Just this module was there.
    Unchanged,
}

impl Store {
    /// The store at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the module of `id` lies, if there is one.
    #[must_use]
    pub fn module_path(&self, id: &FunctionId) -> PathBuf {
        self.root.join(id.to_string()).join(WASM)
    }

    /// Every function with a module, in order. A store that does not exist yet holds none.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn list(&self) -> Result<Vec<FunctionId>, FaasletError> {
        let mut found = Vec::new();
        if !self.root.exists() {
            return Ok(found);
        }
        let root = Dir::root(&self.root)?;
        for user in root.names()? {
            let Ok(Some(functions)) = root.child(&user) else {
                continue;
            };
            for function in functions.names()? {
                let id = FunctionId::new(&user, &function);
                let dir = functions.child(&function);
                if let (Ok(id), Ok(Some(dir))) = (id, dir)
                    && dir.open(WASM)?.is_some()
                {
                    found.push(id);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The module of `id` as bytes.
    ///
    /// # Errors
    /// There is none (with the nearest that there is), or it cannot be read or is too large.
    pub fn wasm(&self, id: &FunctionId) -> Result<Vec<u8>, FaasletError> {
        let dir = self.dir(id)?;
        let file = dir.open(WASM)?.ok_or_else(|| self.unknown(id))?;
        read_module(file, &dir.path().join(WASM))
    }

    /// The module of `id` as an open file, and its size in bytes. It stays what it is though another takes its place.
    ///
    /// # Errors
    /// There is none (with the nearest that there is), or it cannot be opened.
    pub fn open_module(&self, id: &FunctionId) -> Result<(File, u64), FaasletError> {
        let dir = self.dir(id)?;
        let file = dir.open(WASM)?.ok_or_else(|| self.unknown(id))?;
        let path = dir.path().join(WASM);
        let meta = file.metadata().map_err(|e| FaasletError::io(&path, e))?;
        if !meta.is_file() {
            return Err(FaasletError::refused(
                path.display(),
                "it is not a regular file",
            ));
        }
        Ok((file, meta.len()))
    }

    /// Compiles `wasm` and installs it as `id`. What was there is replaced at once and whole, and stays
    /// if this fails; where nothing was, nothing is left.
    ///
    /// # Errors
    /// The module is refused ([`validate`]), or the store is not to be trusted or not writable.
    pub fn upload(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
        wasm: &[u8],
    ) -> Result<(), FaasletError> {
        self.upload_if(engine, id, wasm, |_| Ok(()))
    }

    /// As [`Store::upload`], if `allowed`, which is asked with the bytes of its code when it is compiled, has nothing against it. What
    /// that returns is kept until the function is installed.
    ///
    /// # Errors
    /// As [`Store::upload`], and what `allowed` says.
    fn upload_if<T>(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
        wasm: &[u8],
        allowed: impl FnOnce(u64) -> Result<T, FaasletError>,
    ) -> Result<(), FaasletError> {
        let what = id.to_string();
        looks_fit(engine.settings(), &what, wasm)?;
        // Before anything is there for it, and while nobody waits for a lock.
        let code = engine.precompile(&what, wasm)?;
        let _kept = allowed(code.len() as u64)?;
        let dir = Dir::create(&self.root, id)?;
        let replaced = replace(engine, &dir, wasm, &code);
        if replaced.is_err() {
            Dir::remove_empty(&self.root, id);
        }
        replaced
    }

    /// As [`Store::upload`], unless just this module is there, compiled.
    ///
    /// # Errors
    /// As [`Store::upload`].
    pub fn upload_changed(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
        wasm: &[u8],
    ) -> Result<Upload, FaasletError> {
        self.upload_changed_if(engine, id, wasm, |_| Ok(()))
    }

    /// As [`Store::upload_changed`], if `allowed` has nothing against what is new: it is asked with the bytes of the code when that
    /// is compiled, and what it returns is kept until the function is installed.
    ///
    /// # Errors
    /// As [`Store::upload`], and what `allowed` says.
    pub fn upload_changed_if<T>(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
        wasm: &[u8],
        allowed: impl FnOnce(u64) -> Result<T, FaasletError>,
    ) -> Result<Upload, FaasletError> {
        let present = match self.wasm(id) {
            Ok(present) => Some(present == wasm),
            // Whatever is wrong with what is there is no reason not to replace it.
            Err(FaasletError::UnknownFunction(_)) => None,
            Err(_) => Some(false),
        };
        if present == Some(true) {
            self.codegen(engine, id)?;
            return Ok(Upload::Unchanged);
        }
        self.upload_if(engine, id, wasm, allowed)?;
        Ok(present.map_or(Upload::New, |_| Upload::Replaced))
    }

    /// Writes `bytes` to file `name` beside the module of `id`, whole or not at all; returns its path.
    ///
    /// # Errors
    /// No such function, a `name` that a file of the store's own could have, or the store is not writable.
    pub fn write_beside(
        &self,
        id: &FunctionId,
        name: &str,
        bytes: &[u8],
    ) -> Result<PathBuf, FaasletError> {
        let is_name = FunctionId::new(id.user(), name).is_ok();
        if !is_name
            || ["native", ".wasm", ".cwasm", ".json", ".so"]
                .iter()
                .any(|own| name.ends_with(own))
        {
            return Err(FaasletError::refused(name, "it is no name for such a file"));
        }
        let dir = self.dir(id)?;
        dir.install(name, bytes)?;
        Ok(dir.path().join(name))
    }

    /// Compiles `id` unless its code for this engine is there.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn codegen(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
    ) -> Result<Codegen, FaasletError> {
        let (dir, wasm) = self.trusted(id)?;
        Ok(find_or_compile(engine, &dir, &id.to_string(), &wasm)?.1)
    }

    /// The compiled module of `id`, mapped from the store; compiled and installed first if need be.
    ///
    /// # Errors
    /// No such function, a module that is refused, a component, or a store that others can write to.
    pub fn load(&self, engine: &FaasletEngine, id: &FunctionId) -> Result<Module, FaasletError> {
        self.load_code(engine, id)?.0.into_module(&id.to_string())
    }

    /// The compiled code of `id`, as [`Store::load`], and what it was compiled of.
    fn load_code(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
    ) -> Result<(Loaded, Vec<u8>), FaasletError> {
        let (dir, wasm) = self.trusted(id)?;
        let what = id.to_string();
        within_limits(engine, &what, &wasm)?;
        let code = find_or_compile(engine, &dir, &what, &wasm)?.0;
        Ok((code, wasm))
    }

    /// The directory of `id`, which only the trusted can change, and its module.
    fn trusted(&self, id: &FunctionId) -> Result<(Dir, Vec<u8>), FaasletError> {
        let wasm = self.wasm(id)?;
        let dir = self.dir(id)?;
        dir.require_trust()?;
        Ok((dir, wasm))
    }

    fn dir(&self, id: &FunctionId) -> Result<Dir, FaasletError> {
        if !self.root.exists() {
            return Err(self.unknown(id));
        }
        let user = Dir::root(&self.root)?.child(id.user())?;
        let function = match user {
            Some(user) => user.child(id.function())?,
            None => None,
        };
        function.ok_or_else(|| self.unknown(id))
    }

    fn unknown(&self, id: &FunctionId) -> FaasletError {
        let known: Vec<String> = match self.list() {
            Ok(ids) => ids.iter().map(ToString::to_string).collect(),
            Err(error) => return error,
        };
        let message = ids::unknown("function", &id.to_string(), &known);
        let hint = if known.is_empty() {
            "; `make functions` builds the demo functions, `faasm-driver upload` adds others"
        } else {
            ""
        };
        FaasletError::UnknownFunction(format!("{message} in {}{hint}", self.root.display()))
    }
}

fn find_or_compile(
    engine: &FaasletEngine,
    dir: &Dir,
    what: &str,
    wasm: &[u8],
) -> Result<(Loaded, Codegen), FaasletError> {
    if let Some(found) = code::find(dir, engine, Kind::FUNCTION, wasm)? {
        return Ok((found, Codegen::Present));
    }
    looks_fit(engine.settings(), what, wasm)?;
    let code = engine.precompile(what, wasm)?;
    let _lock = dir.lock()?;
    let installed = code::install(dir, engine, Kind::FUNCTION, wasm, &code)?;
    code::sweep(dir, Kind::FUNCTION, &[code::hash(wasm)])?;
    Ok((installed, Codegen::Compiled))
}

fn replace(
    engine: &FaasletEngine,
    dir: &Dir,
    wasm: &[u8],
    code: &[u8],
) -> Result<(), FaasletError> {
    let _lock = dir.lock()?;
    dir.require_trust()?;
    dir.sweep_temporaries()?;
    // The code first: at every moment there is code for the module that is there.
    let installed = code::install(dir, engine, Kind::FUNCTION, wasm, code)
        .and_then(|_| dir.install(WASM, wasm));
    let kept = match &installed {
        Ok(()) => Some(code::hash(wasm)),
        Err(_) => dir
            .open(WASM)?
            .map(|file| read_module(file, &dir.path().join(WASM)))
            .transpose()?
            .map(|old| code::hash(&old)),
    };
    code::sweep(dir, Kind::FUNCTION, kept.as_slice())?;
    installed
}

/// Reads a module from `file`, which must be a regular file of at most [`MAX_MODULE_BYTES`].
///
/// # Errors
/// It is not, or cannot be read.
pub fn read_module(file: File, path: &Path) -> Result<Vec<u8>, FaasletError> {
    let meta = file.metadata().map_err(|e| FaasletError::io(path, e))?;
    if !meta.is_file() {
        return Err(FaasletError::refused(
            path.display(),
            "it is not a regular file",
        ));
    }
    let mut wasm =
        Vec::with_capacity(usize::try_from(meta.len().min(MAX_MODULE_BYTES)).unwrap_or(0));
    // One byte more than allowed tells a file that is too large, even if it grows while it is read.
    file.take(MAX_MODULE_BYTES + 1)
        .read_to_end(&mut wasm)
        .map_err(|e| FaasletError::io(path, e))?;
    if wasm.len() as u64 > MAX_MODULE_BYTES {
        return Err(too_large(&path.display().to_string(), meta.len()));
    }
    Ok(wasm)
}
