//! Compiled code: its key, how it is found, how it is made.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use wasmtime::Module;

use super::dir::Dir;
use super::trust;
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::settings::ENGINE;

const SUFFIX: &str = ".cwasm";
/// Hex digits of each hash in a file name: 128 bits.
const HEX: usize = 32;

/// The compiled module for `wasm`, if it is in `dir` and whole.
pub(super) fn find(
    dir: &Dir,
    engine: &FaasletEngine,
    wasm: &[u8],
) -> Result<Option<Module>, FaasletError> {
    let prefix = prefix(engine, wasm);
    for name in dir.names()? {
        let Some(code_hash) = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(SUFFIX))
        else {
            continue;
        };
        let Some(file) = dir.open(&name)? else {
            continue;
        };
        let path = dir.path().join(&name);
        let meta = file.metadata().map_err(|e| FaasletError::io(&path, e))?;
        trust::require(&path, &meta)?;
        if hash_file(&file).map_err(|e| FaasletError::io(&path, e))? != code_hash {
            // Damaged: never run; made anew by the caller.
            dir.remove(&name);
            continue;
        }
        // SAFETY: the file is what `compile` wrote (its name carries the hash of its content, and that
        // content was made by this version with these flags for this CPU), nobody but the trusted can
        // write to it, and the engine checks its own header besides.
        let module = unsafe { Module::deserialize_open_file(engine.wasmtime(), file) };
        return module
            .map(Some)
            .map_err(|e| FaasletError::io(path, format!("cannot load compiled code: {e:#}")));
    }
    Ok(None)
}

/// Compiles `wasm` and installs the code in `dir`; code for other content of the same function goes.
pub(super) fn compile(
    dir: &Dir,
    engine: &FaasletEngine,
    what: &str,
    wasm: &[u8],
) -> Result<(), FaasletError> {
    let code = engine
        .wasmtime()
        .precompile_module(wasm)
        .map_err(|e| FaasletError::refused(what, format!("it cannot be compiled: {e:#}")))?;
    let content = format!("function-{}-", hex(&Sha256::digest(wasm)));
    let name = format!(
        "{}{}{SUFFIX}",
        prefix(engine, wasm),
        hex(&Sha256::digest(&code))
    );
    dir.install(&name, &code)?;
    for old in dir.names()? {
        if old.starts_with("function-") && old.ends_with(SUFFIX) && !old.starts_with(&content) {
            dir.remove(&old);
        }
    }
    Ok(())
}

/// `function-<wasm>-<engine>-`.
fn prefix(engine: &FaasletEngine, wasm: &[u8]) -> String {
    let mut hasher = Sha(Sha256::new());
    ENGINE.hash(&mut hasher);
    engine
        .wasmtime()
        .precompile_compatibility_hash()
        .hash(&mut hasher);
    format!(
        "function-{}-{}-",
        hex(&Sha256::digest(wasm)),
        hex(&hasher.0.finalize())
    )
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

fn hash_file(file: &File) -> io::Result<String> {
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

fn hex(digest: &[u8]) -> String {
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(b"0123456789abcdef"[usize::from(nibble)]))
        .take(HEX)
        .collect()
}
