//! What a module must offer and may ask for.

use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

use crate::error::Wasm2cError;

/// The only module to import from.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";

/// The functions of [`WASI`] that `host.c` provides: what a computation in C needs.
const PROVIDED: [&str; 12] = [
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_seek",
    "fd_write",
    "proc_exit",
];

/// Checks that `wasm` exports `_start` and `memory` and imports nothing that the host has not.
pub(crate) fn check(wasm: &[u8]) -> Result<(), Wasm2cError> {
    let (mut start, mut memory) = (false, false);
    let mut foreign = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let provided = import.module == WASI
                        && PROVIDED.contains(&import.name)
                        && matches!(import.ty, TypeRef::Func(_));
                    if !provided {
                        foreign.push(format!("{}.{}", import.module, import.name));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    start |= export.name == "_start" && export.kind == ExternalKind::Func;
                    memory |= export.name == "memory" && export.kind == ExternalKind::Memory;
                }
            }
            _ => {}
        }
    }
    if !foreign.is_empty() {
        return Err(Wasm2cError::Unsupported(format!(
            "it imports {}; this engine provides of {WASI} only {}",
            foreign.join(", "),
            PROVIDED.join(", ")
        )));
    }
    if !(start && memory) {
        return Err(Wasm2cError::Unsupported(
            "it is no WASI program: it must export _start and memory".to_owned(),
        ));
    }
    Ok(())
}

/// Whether `wasm` imports anything.
pub(crate) fn has_imports(wasm: &[u8]) -> Result<bool, Wasm2cError> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(section) = payload? {
            return Ok(section.count() > 0);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<String> {
        let wasm = wat::parse_str(text).expect("a module");
        check(&wasm).err().map(|error| error.to_string())
    }

    #[test]
    fn a_program_is_let_through() {
        let text = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 1) (func (export "_start")))"#;
        assert_eq!(refusal(text), None);
    }

    #[test]
    fn what_the_host_has_not_is_named() {
        let text = r#"(module (import "wasi_snapshot_preview1" "sock_send" (func))
            (import "env" "memory" (memory 1)) (func (export "_start")))"#;
        let why = refusal(text).expect("refused");
        for name in ["wasi_snapshot_preview1.sock_send", "env.memory", "fd_write"] {
            assert!(why.contains(name), "{why}");
        }
    }

    #[test]
    fn a_library_is_refused() {
        for text in [
            r#"(module (memory (export "memory") 1))"#,
            r#"(module (func (export "_start")))"#,
        ] {
            assert!(refusal(text).expect("refused").contains("_start"));
        }
    }
}
