//! What a module must offer and may ask for.

use wasm_interface::{Interface, WASI};
use wasmparser::{ExternalKind, FunctionBody, MemArg, Operator, Parser, Payload, TypeRef, ValType};

use crate::abi::PARAMS_MAX;
use crate::error::SecondEngineError;

/// Bytes that the widest access takes.
const WIDEST_BYTES: u64 = 16;

/// A function of [`WASI`] that a library calls, by its place among its module's imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it is called there.
    pub name: String,
    /// Integers alone, at most [`PARAMS_MAX`].
    pub params: Vec<ValType>,
    /// An integer.
    pub result: Option<ValType>,
}

/// Checks that `wasm`, of which `interface` was read, is a WASI program that a library can be made of: it exports `_start` and
/// `memory`, imports functions of [`WASI`] alone, has one memory, none of whose accesses reaches beyond `guard_bytes` behind what
/// an index can reach, and does not grow its table. Whether it has an instruction that changes one.
pub(crate) fn check(
    interface: &Interface,
    wasm: &[u8],
    guard_bytes: u64,
) -> Result<bool, SecondEngineError> {
    // The name becomes one in C.
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    let foreign: Vec<String> = interface
        .imports
        .iter()
        .filter(|import| {
            import.module != WASI
                || !matches!(import.ty, TypeRef::Func(_))
                || !import.name.bytes().all(plain)
        })
        .map(|import| format!("{}.{}", import.module, import.name.escape_debug()))
        .collect();
    if interface.memories.iter().any(|memory| memory.memory64) {
        return Err(unsupported("its memory is one of 64 bits"));
    }
    let mut changes_tables = false;
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload? {
            changes_tables |= check_body(&body, guard_bytes)?;
        }
    }
    if !foreign.is_empty() {
        return Err(SecondEngineError::Unsupported(format!(
            "it imports {}; this engine provides functions of {WASI} only",
            foreign.join(", ")
        )));
    }
    if !(interface.exports("_start", ExternalKind::Func)
        && interface.exports("memory", ExternalKind::Memory))
    {
        return Err(unsupported(
            "it is no WASI program: it must export _start and memory",
        ));
    }
    Ok(changes_tables)
}

fn unsupported(why: &str) -> SecondEngineError {
    SecondEngineError::Unsupported(why.to_owned())
}

/// Whether a function changes a table, unless it is refused.
fn check_body(body: &FunctionBody<'_>, guard_bytes: u64) -> Result<bool, SecondEngineError> {
    let mut changes_tables = false;
    for op in body.get_operators_reader()? {
        let op = op?;
        match op {
            Operator::TableGrow { .. } => return Err(unsupported("it grows a table")),
            Operator::TableSet { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. } => changes_tables = true,
            _ => {}
        }
        if let Some(memarg) = memarg(&op)
            && memarg.offset + WIDEST_BYTES > guard_bytes
        {
            return Err(SecondEngineError::Unsupported(format!(
                "it has an access at an offset of {} bytes, beyond the guard of {guard_bytes}",
                memarg.offset
            )));
        }
    }
    Ok(changes_tables)
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

/// The functions that a module of this `interface` calls, in the order of its imports.
///
/// # Errors
/// It imports something else, or a function of other types than WASI's are.
pub fn calls(interface: &Interface) -> Result<Vec<Call>, SecondEngineError> {
    let call = |import: &wasm_interface::Import| {
        let refused = |why: String| Err(SecondEngineError::Unsupported(why));
        let ty = interface
            .import_type(import)
            .filter(|_| import.module == WASI);
        let Some(ty) = ty else {
            return refused(format!("it imports {}.{}", import.module, import.name));
        };
        let mut numbers = ty.params().iter().chain(ty.results());
        if !numbers.all(|ty| matches!(ty, ValType::I32 | ValType::I64))
            || ty.results().len() > 1
            || ty.params().len() > PARAMS_MAX
        {
            return refused(format!(
                "{} of {WASI} takes at most {PARAMS_MAX} integers and returns one",
                import.name
            ));
        }
        Ok(Call {
            name: import.name.clone(),
            params: ty.params().to_vec(),
            result: ty.results().first().copied(),
        })
    };
    interface.imports.iter().map(call).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARD_BYTES: u64 = 32 << 20;

    fn refusal(text: &str) -> Option<String> {
        let wasm = wat::parse_str(text).expect("a module");
        let interface = Interface::read(&wasm).expect("an interface");
        check(&interface, &wasm, GUARD_BYTES)
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
}
