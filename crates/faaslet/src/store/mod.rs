//! The function store: `<store>/<user>/<function>/function.wasm` beside its compiled code,
//! `function-<wasm>-<engine>-<code>.cwasm`.
//!
//! * `<wasm>` is the hash of the module, `<engine>` that of the engine's version, its flags and the CPU
//!   features that it compiles for: code that does not match is never found, let alone run.
//! * `<code>` is the hash of the compiled file, checked before it is mapped.
//! * Compiled code runs unchecked, so it is loaded only from a store that nobody but root, ourselves and
//!   whoever called `sudo` can write to, all the way up; and from the very descriptor that was checked.
//! * Files appear whole (temporary file, fsync, rename) and no symbolic link is followed below the root.

mod code;
mod dir;
mod trust;
mod validate;

use std::fs::File;
use std::path::{Path, PathBuf};

use measure_core::ids::{self, FunctionId};
use wasmtime::Module;

use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use dir::Dir;

pub use validate::{MAX_MODULE_BYTES, validate};

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

    /// Installs `wasm` as `id` and compiles it. What was there is replaced at once and whole.
    ///
    /// # Errors
    /// The module is refused ([`validate`]), or the store is not to be trusted or not writable.
    pub fn upload(
        &self,
        engine: &FaasletEngine,
        id: &FunctionId,
        wasm: &[u8],
    ) -> Result<(), FaasletError> {
        validate(engine, &id.to_string(), wasm)?;
        let dir = Dir::create(&self.root, id)?;
        dir.require_trust()?;
        dir.install(WASM, wasm)?;
        self.compile_into(engine, &dir, id, wasm).map(drop)
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
        let wasm = self.wasm(id)?;
        let dir = self.dir(id)?;
        dir.require_trust()?;
        if code::find(&dir, engine, &wasm)?.is_some() {
            return Ok(Codegen::Present);
        }
        validate(engine, &id.to_string(), &wasm)?;
        self.compile_into(engine, &dir, id, &wasm)?;
        Ok(Codegen::Compiled)
    }

    /// The compiled module of `id`, mapped from the store; compiled and installed first if need be.
    ///
    /// # Errors
    /// No such function, a module that is refused, or a store that others can write to.
    pub fn load(&self, engine: &FaasletEngine, id: &FunctionId) -> Result<Module, FaasletError> {
        let wasm = self.wasm(id)?;
        let dir = self.dir(id)?;
        dir.require_trust()?;
        validate::within_limits(engine, &id.to_string(), &wasm)?;
        if let Some(module) = code::find(&dir, engine, &wasm)? {
            return Ok(module);
        }
        validate(engine, &id.to_string(), &wasm)?;
        self.compile_into(engine, &dir, id, &wasm)
    }

    fn compile_into(
        &self,
        engine: &FaasletEngine,
        dir: &Dir,
        id: &FunctionId,
        wasm: &[u8],
    ) -> Result<Module, FaasletError> {
        code::compile(dir, engine, &id.to_string(), wasm)?;
        code::find(dir, engine, wasm)?.ok_or_else(|| {
            FaasletError::io(
                dir.path(),
                "the code just installed is gone: is another program writing to this store?",
            )
        })
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

/// Reads a module from `file`, which must be a regular file of at most [`MAX_MODULE_BYTES`].
///
/// # Errors
/// It is not, or cannot be read.
pub fn read_module(file: File, path: &Path) -> Result<Vec<u8>, FaasletError> {
    use std::io::Read;
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
        return Err(validate::too_large(&path.display().to_string(), meta.len()));
    }
    Ok(wasm)
}
