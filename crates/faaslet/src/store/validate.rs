//! What a module must be before it is installed or compiled.

use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef};
use wasmtime::Module;

use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::wasi;

/// The largest module that is accepted.
pub const MAX_MODULE_BYTES: u64 = 128 << 20;
/// A list in an error message ends after this many.
const SHOWN: usize = 8;

/// Checks that `wasm`, called `what` in errors, is a valid module, is a WASI program (exports `_start`
/// and `memory`), and imports nothing but functions of `wasi_snapshot_preview1`.
///
/// # Errors
/// What is wrong with it.
pub fn validate(engine: &FaasletEngine, what: &str, wasm: &[u8]) -> Result<(), FaasletError> {
    if wasm.len() as u64 > MAX_MODULE_BYTES {
        return Err(too_large(what, wasm.len() as u64));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(FaasletError::refused(
            what,
            "it is not a WebAssembly binary (no \\0asm at its start)",
        ));
    }
    Module::validate(engine.wasmtime(), wasm)
        .map_err(|e| FaasletError::refused(what, format!("it is not a valid module: {e:#}")))?;
    let interface = Interface::of(wasm)
        .map_err(|e| FaasletError::refused(what, format!("it is not a valid module: {e}")))?;
    interface
        .check()
        .map_err(|cause| FaasletError::refused(what, cause))
}

pub(super) fn too_large(what: &str, bytes: u64) -> FaasletError {
    FaasletError::refused(
        what,
        format!("it has {bytes} bytes, a module may have {MAX_MODULE_BYTES}"),
    )
}

/// What a module wants and offers.
#[derive(Default)]
struct Interface {
    foreign: Vec<String>,
    start: bool,
    memory: bool,
}

impl Interface {
    fn of(wasm: &[u8]) -> wasmparser::Result<Self> {
        let mut found = Self::default();
        let mut types: Vec<FuncType> = Vec::new();
        let mut functions: Vec<u32> = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(ty?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(ty) => {
                                functions.push(ty);
                                if import.module == wasi::MODULE {
                                    continue;
                                }
                            }
                            _ => {}
                        }
                        found
                            .foreign
                            .push(format!("{}.{}", import.module, import.name));
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match (export.name, export.kind) {
                            ("memory", ExternalKind::Memory) => found.memory = true,
                            ("_start", ExternalKind::Func) => {
                                found.start = functions
                                    .get(export.index as usize)
                                    .and_then(|&ty| types.get(ty as usize))
                                    .is_some_and(|ty| {
                                        ty.params().is_empty() && ty.results().is_empty()
                                    });
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn check(&self) -> Result<(), String> {
        if !self.foreign.is_empty() {
            let shown: Vec<String> = self
                .foreign
                .iter()
                .take(SHOWN)
                .map(|name| name.escape_debug().to_string())
                .collect();
            let more = self.foreign.len().saturating_sub(SHOWN);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            return Err(format!(
                "it imports {}{more}; only functions of {} are offered",
                shown.join(", "),
                wasi::MODULE
            ));
        }
        if !self.start || !self.memory {
            return Err("it is not a WASI program: it must export `_start` (no parameters, no results) and `memory`; build it as a command, with a main".to_owned());
        }
        Ok(())
    }
}
