//! What a module must be before it is installed or compiled.

use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef};
use wasmtime::Module;

use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::settings::EngineSettings;
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
        .and_then(|()| interface.within(engine.settings()))
        .map_err(|cause| FaasletError::refused(what, cause))
}

/// Checks only that `wasm`, which is valid, begins within the limits: they may be lower than when it was
/// compiled.
pub(crate) fn within_limits(
    engine: &FaasletEngine,
    what: &str,
    wasm: &[u8],
) -> Result<(), FaasletError> {
    Interface::of(wasm)
        .map_err(|e| e.to_string())
        .and_then(|interface| interface.within(engine.settings()))
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
    memory_bytes: u64,
    table_elements: u64,
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
                        if let TypeRef::Func(ty) = import.ty {
                            functions.push(ty);
                            if import.module == wasi::MODULE && wasi::offered(import.name) {
                                continue;
                            }
                        }
                        found
                            .foreign
                            .push(format!("{}.{}", import.module, import.name));
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let pages = memory?.initial;
                        found.memory_bytes = found.memory_bytes.max(pages.saturating_mul(64 << 10));
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        found.table_elements = found.table_elements.max(table?.ty.initial);
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

    fn within(&self, settings: &EngineSettings) -> Result<(), String> {
        if self.memory_bytes > settings.memory_limit_bytes {
            return Err(format!(
                "its memory begins with {} bytes and the limit is {}; raise it with --memory-limit",
                self.memory_bytes, settings.memory_limit_bytes
            ));
        }
        if self.table_elements > u64::from(settings.table_limit_elements) {
            return Err(format!(
                "its table begins with {} elements and the limit is {}",
                self.table_elements, settings.table_limit_elements
            ));
        }
        Ok(())
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
                "it imports {}{more}, which is not offered: only the functions of {} are",
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn engine() -> FaasletEngine {
        FaasletEngine::new(EngineSettings {
            instances: 1,
            ..EngineSettings::default()
        })
        .expect("an engine")
    }

    fn verdict(wat: &str) -> Result<(), String> {
        let wasm = wat::parse_str(wat).expect("a module");
        validate(&engine(), "it", &wasm).map_err(|e| e.to_string())
    }

    #[test]
    fn a_wasi_program_passes() {
        let program = r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 2) (table 1 funcref) (func (export "_start")))"#;
        assert_eq!(verdict(program), Ok(()));
    }

    #[test]
    fn what_begins_above_a_limit_is_refused() {
        let memory = r#"(module (memory (export "memory") 65536) (func (export "_start")))"#;
        assert!(
            verdict(memory)
                .expect_err("too much")
                .contains("--memory-limit")
        );
        let table = r#"(module (table 9999999 funcref) (memory (export "memory") 1) (func (export "_start")))"#;
        assert!(
            verdict(table)
                .expect_err("too much")
                .contains("9999999 elements")
        );
    }

    #[test]
    fn imports_other_than_functions_of_wasi_are_refused() {
        for import in [
            r#"(import "env" "f" (func))"#,
            r#"(import "wasi_snapshot_preview1" "nothing" (func))"#,
            r#"(import "wasi_snapshot_preview1" "fd_read" (global i32))"#,
        ] {
            let wat = format!(
                r#"(module {import} (memory (export "memory") 1) (func (export "_start")))"#
            );
            assert!(
                verdict(&wat).expect_err("foreign").contains("not offered"),
                "{import}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut wasm = b"\0asm\x01\0\0\0".to_vec();
            wasm.extend(tail);
            let _ = Interface::of(&wasm);
        }
    }
}
