//! Compiled code: its key, how it is found, how it is made.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use wasmtime::Module;
use wasmtime::component::Component;

use super::dir::Dir;
use crate::bulk;
use crate::component::is_component;
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::settings::ENGINE;

const SUFFIX: &str = ".cwasm";

/// Whose code a file holds: the first part of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(&'static str);

impl Kind {
    pub(super) const FUNCTION: Self = Self("function-");
    /// That of a snapshot of it.
    pub(super) const SNAPSHOT: Self = Self("snapshot-");
    /// That of the module that stands for its library.
    pub(super) const ADAPTER: Self = Self("adapter-");
    /// The same with a snapshot's data.
    pub(super) const PROTO_ADAPTER: Self = Self("proto-adapter-");
}

/// Code that can be run.
#[derive(Clone)]
pub(super) enum Loaded {
    Module(Module),
    Component(Component),
}

impl Loaded {
    /// The module, where it is to be one.
    ///
    /// # Errors
    /// It is a component.
    pub(super) fn into_module(self, what: &str) -> Result<Module, FaasletError> {
        match self {
            Self::Module(module) => Ok(module),
            Self::Component(_) => Err(FaasletError::refused(
                what,
                "it is a component, and this is for modules: preview-1 programs",
            )),
        }
    }
}

/// Hex digits of each hash in a file name: 128 bits.
const HEX: usize = 32;

/// The compiled code for `wasm`, if it is in `dir` and whole.
pub(super) fn find(
    dir: &Dir,
    engine: &FaasletEngine,
    kind: Kind,
    wasm: &[u8],
) -> Result<Option<Loaded>, FaasletError> {
    let prefix = prefix(engine, kind, wasm)?;
    for name in dir.names()? {
        let Some(code_hash) = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(SUFFIX))
        else {
            continue;
        };
        let Some((file, path)) = dir.open_trusted(&name)? else {
            continue;
        };
        if hash_file(&file).map_err(|e| FaasletError::io(&path, e))? != code_hash {
            // Damaged: never run; made anew by the caller.
            dir.remove(&name);
            continue;
        }
        // SAFETY: the file is what `compile` wrote (its name carries the hash of its content, and that
        // content was made by this version with these flags for this CPU), nobody but the trusted can
        // write to it, and the engine checks its own header besides.
        let loaded = unsafe { load(engine, wasm, file)? };
        // Valid, and compiled, but more than a slot is made for.
        return loaded.map(Some).map_err(|e| {
            FaasletError::refused(dir.function(), format!("its code cannot be loaded: {e:#}"))
        });
    }
    Ok(None)
}

/// Code of `wasm` from `file`.
///
/// # Safety
/// The file is what this version compiled.
unsafe fn load(
    engine: &FaasletEngine,
    wasm: &[u8],
    file: File,
) -> Result<wasmtime::Result<Loaded>, FaasletError> {
    let of = engine.engine_for(wasm)?;
    Ok(if is_component(wasm) {
        // By the kernel's own name of what is open, which leads to nothing else.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: as the caller vouches for.
        unsafe { Component::deserialize_file(of, path) }.map(Loaded::Component)
    } else {
        // SAFETY: as the caller vouches for.
        unsafe { Module::deserialize_open_file(of, file) }.map(Loaded::Module)
    })
}

/// Compiles `wasm`, installs the code in `dir` and loads it from there.
pub(super) fn compile(
    dir: &Dir,
    engine: &FaasletEngine,
    kind: Kind,
    what: &str,
    wasm: &[u8],
) -> Result<Loaded, FaasletError> {
    let code = engine.precompile(what, wasm)?;
    install(dir, engine, kind, wasm, &code)
}

/// Installs the `code` of `wasm` in `dir` and loads it from there.
pub(super) fn install(
    dir: &Dir,
    engine: &FaasletEngine,
    kind: Kind,
    wasm: &[u8],
    code: &[u8],
) -> Result<Loaded, FaasletError> {
    let name = format!("{}{}{SUFFIX}", prefix(engine, kind, wasm)?, hash(code));
    dir.install(&name, code)?;
    find(dir, engine, kind, wasm)?.ok_or_else(|| {
        let why = "the code just installed is gone: is another program writing to this store?";
        FaasletError::io(dir.path(), io::Error::other(why))
    })
}

/// Removes code of `kind` in `dir` for other content than that whose hashes are `kept`.
pub(super) fn sweep(dir: &Dir, kind: Kind, kept: &[String]) -> Result<(), FaasletError> {
    for old in dir.names()? {
        let content = old.strip_prefix(kind.0).filter(|_| old.ends_with(SUFFIX));
        if content.is_some_and(|content| !kept.iter().any(|hash| content.starts_with(hash))) {
            dir.remove(&old);
        }
    }
    Ok(())
}

/// `<kind>-<wasm>-<engine>-`.
fn prefix(engine: &FaasletEngine, kind: Kind, wasm: &[u8]) -> Result<String, FaasletError> {
    let mut hasher = Sha(Sha256::new());
    ENGINE.hash(&mut hasher);
    bulk::VERSION.hash(&mut hasher);
    if is_component(wasm) {
        bulk::COMPONENT_VERSION.hash(&mut hasher);
    }
    engine
        .engine_for(wasm)?
        .precompile_compatibility_hash()
        .hash(&mut hasher);
    let engine = hex(&hasher.0.finalize());
    Ok(format!("{}{}-{engine}-", kind.0, hash(wasm)))
}

/// Feeds a strong hash with what `Hash` would feed a weak one.
struct Sha(Sha256);

impl Hasher for Sha {
    fn finish(&self) -> u64 {
        // Only the full digest is used; the trait wants this.
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

pub(super) fn hash_file(file: &File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => {
                hasher.update(&buffer[..n]);
                at += n as u64;
            }
        }
    }
}

/// The hash of `bytes` as it stands in file names.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The first [`HEX`] hexadecimal digits of `digest`.
pub(super) fn hex(digest: &[u8]) -> String {
    hex::encode(&digest[..HEX / 2])
}
