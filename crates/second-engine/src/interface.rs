//! What a module must offer and may ask for.

use wasmparser::{ExternalKind, FunctionBody, MemArg, Operator, Parser, Payload, TypeRef, ValType};

use crate::error::Wasm2cError;

/// The only module to import from.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";

/// Bytes that the widest access takes.
const WIDEST_BYTES: u64 = 16;

/// A function that a module imports from [`WASI`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    name: String,
    params: Vec<ValType>,
    result: Option<ValType>,
}

/// Checks that `wasm` is a WASI program that a library can be made of: it exports `_start` and `memory`, imports functions of
/// [`WASI`] alone, has one memory, none of whose accesses reaches beyond `guard_bytes` behind what an index can reach, and does not
/// grow its table.
pub(crate) fn check(wasm: &[u8], guard_bytes: u64) -> Result<(), Wasm2cError> {
    let (mut start, mut memory) = (false, false);
    let mut foreign = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    // The name becomes one in C.
                    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
                    if import.module != WASI
                        || !matches!(import.ty, TypeRef::Func(_))
                        || !import.name.bytes().all(plain)
                    {
                        foreign.push(format!("{}.{}", import.module, import.name.escape_debug()));
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    if memory?.memory64 {
                        return Err(unsupported("its memory is one of 64 bits"));
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
            Payload::CodeSectionEntry(body) => check_body(&body, guard_bytes)?,
            _ => {}
        }
    }
    if !foreign.is_empty() {
        return Err(Wasm2cError::Unsupported(format!(
            "it imports {}; this engine provides functions of {WASI} only",
            foreign.join(", ")
        )));
    }
    if !(start && memory) {
        return Err(unsupported(
            "it is no WASI program: it must export _start and memory",
        ));
    }
    Ok(())
}

fn unsupported(why: &str) -> Wasm2cError {
    Wasm2cError::Unsupported(why.to_owned())
}

fn check_body(body: &FunctionBody<'_>, guard_bytes: u64) -> Result<(), Wasm2cError> {
    for op in body.get_operators_reader()? {
        let op = op?;
        if matches!(op, Operator::TableGrow { .. }) {
            return Err(unsupported("it grows a table"));
        }
        if let Some(memarg) = memarg(&op)
            && memarg.offset + WIDEST_BYTES > guard_bytes
        {
            return Err(Wasm2cError::Unsupported(format!(
                "it has an access at an offset of {} bytes, beyond the guard of {guard_bytes}",
                memarg.offset
            )));
        }
    }
    Ok(())
}

/// Where `op` accesses memory.
fn memarg(op: &Operator<'_>) -> Option<MemArg> {
    macro_rules! find {
        ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
            match op {
                $( Operator::$op { .. } => find!(@of $op $($($arg)*)?), )*
                _ => None,
            }
        };
        (@of $op:ident memarg $($rest:ident)*) => {
            match op {
                Operator::$op { memarg, .. } => Some(*memarg),
                _ => None,
            }
        };
        (@of $op:ident $($rest:ident)*) => { None };
    }
    wasmparser::for_each_operator!(find)
}

/// The functions that `wasm` imports, in its order.
pub(crate) fn imports(wasm: &[u8]) -> Result<Vec<Import>, Wasm2cError> {
    let mut types = Vec::new();
    let mut imports = Vec::new();
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
                    let TypeRef::Func(ty) = import.ty else {
                        continue;
                    };
                    let ty = types
                        .get(ty as usize)
                        .ok_or_else(|| unsupported("an import has no type"))?;
                    let numbers = ty.params().iter().chain(ty.results());
                    if ty.results().len() > 1
                        || !numbers
                            .clone()
                            .all(|ty| matches!(ty, ValType::I32 | ValType::I64))
                    {
                        return Err(Wasm2cError::Unsupported(format!(
                            "{} of {WASI} takes and returns integers only",
                            import.name
                        )));
                    }
                    imports.push(Import {
                        name: import.name.to_owned(),
                        params: ty.params().to_vec(),
                        result: ty.results().first().copied(),
                    });
                }
            }
            _ => {}
        }
    }
    Ok(imports)
}

/// The functions that the C code of a module calls `imports` by.
pub(crate) fn in_c(imports: &[Import]) -> String {
    let mut c = String::from("#include \"library.h\"\n#include \"module.h\"\n\n");
    let name_of = |ty: ValType| if ty == ValType::I64 { "u64" } else { "u32" };
    for (i, import) in imports.iter().enumerate() {
        let params: String = import
            .params
            .iter()
            .enumerate()
            .map(|(n, ty)| format!(", {} a{n}", name_of(*ty)))
            .collect();
        let values: Vec<String> = (0..import.params.len().max(1))
            .map(|n| {
                if n < import.params.len() {
                    format!("a{n}")
                } else {
                    "0".to_owned()
                }
            })
            .collect();
        let result = import.result.map_or("void", name_of);
        let returned = if import.result.is_some() {
            format!(" return ({result})values[0];")
        } else {
            String::new()
        };
        // wasm2c doubles an underscore in the names of modules.
        c.push_str(&format!(
            "{result} w2c_wasi__snapshot__preview1_{}(struct w2c_wasi__snapshot__preview1 *host{params})\n\
             {{ uint64_t values[] = {{{}}}; call_host(host, {i}, values);{returned} }}\n",
            import.name,
            values.join(", "),
        ));
    }
    c
}

/// How many things `wasm` imports, of whatever kind.
pub(crate) fn import_count(wasm: &[u8]) -> Result<usize, Wasm2cError> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::ImportSection(section) = payload? {
            return Ok(section.into_imports().count());
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD_BYTES: u64 = 32 << 20;

    fn refusal(text: &str) -> Option<String> {
        let wasm = wat::parse_str(text).expect("a module");
        check(&wasm, GUARD_BYTES)
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn a_program_is_let_through() {
        let text = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 1) (func (export "_start")))"#;
        assert_eq!(refusal(text), None);
    }

    #[test]
    fn what_the_host_has_not_is_named() {
        let text = r#"(module (import "env" "print" (func))
            (import "env" "memory" (memory 1)) (func (export "_start")))"#;
        let why = refusal(text).expect("refused");
        for name in ["env.print", "env.memory"] {
            assert!(why.contains(name), "{why}");
        }
        // It would be written into C as it stands.
        let text = r#"(module (import "wasi_snapshot_preview1" "f(){}" (func)))"#;
        assert!(refusal(text).expect("refused").contains("f(){}"));
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

    #[test]
    fn no_access_reaches_beyond_the_guard() {
        let program = |op: &str| {
            refusal(&format!(
                r#"(module (memory (export "memory") 1) (func (export "_start") {op}))"#
            ))
        };
        let last = GUARD_BYTES - WIDEST_BYTES;
        let load = |op: &str, offset: u64| {
            program(&format!("(drop ({op} offset={offset} (i32.const 0)))"))
        };
        let store = |offset: u64| {
            program(&format!(
                "(v128.store16_lane offset={offset} 0 (i32.const 0) (v128.const i64x2 0 0))"
            ))
        };
        for op in ["i32.load8_u", "i64.load", "v128.load", "v128.load32_splat"] {
            assert_eq!(load(op, last), None, "{op}");
            assert!(
                load(op, last + 1).expect("refused").contains("guard"),
                "{op}"
            );
        }
        assert_eq!(store(last), None);
        assert!(store(last + 1).expect("refused").contains("guard"));
    }

    #[test]
    fn imports_are_called_by_their_number() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))))"#;
        let imports = imports(&wat::parse_str(text).expect("a module")).expect("imports");
        let c = in_c(&imports);
        for line in [
            "void w2c_wasi__snapshot__preview1_proc_exit(struct w2c_wasi__snapshot__preview1 *host, u32 a0)\n\
             { uint64_t values[] = {a0}; call_host(host, 0, values); }",
            "*host, u32 a0, u64 a1, u32 a2, u32 a3)\n\
             { uint64_t values[] = {a0, a1, a2, a3}; call_host(host, 1, values); return (u32)values[0]; }",
            "sched_yield(struct w2c_wasi__snapshot__preview1 *host)\n\
             { uint64_t values[] = {0}; call_host(host, 2, values); return (u32)values[0]; }",
        ] {
            assert!(c.contains(line), "{c}");
        }
    }
}
