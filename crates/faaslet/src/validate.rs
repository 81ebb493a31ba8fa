//! What a module must be before it is installed or compiled.

use measure_core::base::words;
use wasm_interface::features::{self, BASE};
use wasm_interface::{Import, Interface};
use wasmparser::{BinaryReaderError, ExternalKind, TypeRef, WasmFeatures};
use wasmtime::{Engine, Module};

use crate::component::{self, World, is_component};
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::foreign;
use crate::names::{NAME_CHARS, shown};
use crate::settings::{ELEMENTS_PER_TABLE, EngineSettings};
use crate::wasi;

/// The largest module that is accepted.
pub const MAX_MODULE_BYTES: u64 = 128 << 20;
const PAGE_BYTES: u64 = 64 << 10;

/// What the engine takes of those features in which engines differ, as it is built and set here. A test holds it to that.
const TAKEN: WasmFeatures = BASE
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FUNCTION_REFERENCES);

/// Why a valid module or component is not accepted.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Component(#[from] component::Unfit),
    #[error(
        "its memory begins with {bytes} bytes and the limit is {limit}; raise it with --memory-limit"
    )]
    Memory { bytes: u64, limit: u64 },
    #[error("its table begins with {elements} elements and the limit is {limit}")]
    Table { elements: u64, limit: u32 },
    #[error(
        "its segments have {elements} elements for tables, which each start would bring there or keep, and the limit is {limit}"
    )]
    Elements { elements: u64, limit: u64 },
    #[error(
        "it imports {names}, which is not offered: only the functions of {module} are{}",
        way_out(*.world),
        module = wasi::MODULE
    )]
    Imports {
        names: String,
        world: Option<foreign::World>,
    },
    #[error(
        "it is not a WASI program: a module must export `_start` (no parameters, no results) and `memory`; build it as a command, with a main"
    )]
    NoProgram,
    #[error(
        "it is a library (a reactor, with `_initialize`), not a WASI program: a module must export `_start` and `memory`; build it as a command, with a main"
    )]
    Library,
    #[error("it needs {0}, which the engine has off here; build it without")]
    Features(String),
    #[error("it is not a valid module: {0}")]
    Invalid(String),
}

fn way_out(world: Option<foreign::World>) -> String {
    world.map_or_else(String::new, |world| format!("; {world}"))
}

/// Checks that `wasm`, called `what` in errors, is a valid module, is a WASI program (exports `_start`
/// and `memory`), and imports nothing but functions of `wasi_snapshot_preview1`. Of a component, that it is a program for WASI 0.2; that it
/// is valid is found when it is compiled.
///
/// # Errors
/// What is wrong with it.
pub fn validate(engine: &FaasletEngine, what: &str, wasm: &[u8]) -> Result<(), FaasletError> {
    validate_with(engine.wasmtime(), engine.settings(), what, wasm)
}

/// [`validate`] without what it takes to run anything.
pub(crate) fn validate_with(
    engine: &Engine,
    settings: &EngineSettings,
    what: &str,
    wasm: &[u8],
) -> Result<(), FaasletError> {
    looks_fit(settings, what, wasm)?;
    if is_component(wasm) {
        return Ok(());
    }
    Module::validate(engine, wasm)
        .map_err(|e| FaasletError::refused(what, unfit_for_engine(wasm, &format!("{e:#}"))))
}

/// Why a module cannot be read: types of garbage collection are no fault of its own.
fn unreadable(error: &BinaryReaderError) -> Unfit {
    match error.message().starts_with("gc proposal") {
        true => Unfit::Features("gc".to_owned()),
        false => Unfit::Invalid(error.to_string()),
    }
}

/// Why the engine, which says `said` of it, does not take the module: it may be a good one for others.
fn unfit_for_engine(wasm: &[u8], said: &str) -> Unfit {
    match features::lacking(wasm, TAKEN) {
        Ok(lacks) if !lacks.is_empty() => Unfit::Features(lacks.join(", ")),
        _ => Unfit::Invalid(said.to_owned()),
    }
}

/// What of [`validate`] takes little time whatever the module: its size and its interface. Its functions are not looked at.
pub(crate) fn looks_fit(
    settings: &EngineSettings,
    what: &str,
    wasm: &[u8],
) -> Result<(), FaasletError> {
    if wasm.len() as u64 > MAX_MODULE_BYTES {
        return Err(too_large(what, wasm.len() as u64));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(FaasletError::refused(
            what,
            "it is not a WebAssembly binary (no \\0asm at its start)",
        ));
    }
    if is_component(wasm) {
        let fits = |world: World| {
            world.kind()?;
            world.is_within(settings)
        };
        let fits = World::read(wasm).and_then(fits).map_err(Unfit::from);
        return fits.map_err(|unfit| FaasletError::refused(what, unfit));
    }
    let interface =
        Interface::read(wasm).map_err(|e| FaasletError::refused(what, unreadable(&e)))?;
    is_program(&interface)
        .and_then(|()| is_within(&interface, settings))
        .map_err(|unfit| FaasletError::refused(what, unfit))
}

/// Checks only that `wasm`, which is valid, begins within the limits: they may be lower than when it was
/// compiled.
pub(crate) fn within_limits(
    engine: &FaasletEngine,
    what: &str,
    wasm: &[u8],
) -> Result<(), FaasletError> {
    if is_component(wasm) {
        let within = World::read(wasm).and_then(|world| world.is_within(engine.settings()));
        return within.map_err(|unfit| FaasletError::refused(what, unfit));
    }
    let interface = Interface::read(wasm).map_err(|e| FaasletError::refused(what, e))?;
    is_within(&interface, engine.settings()).map_err(|unfit| FaasletError::refused(what, unfit))
}

pub(crate) fn too_large(what: &str, bytes: u64) -> FaasletError {
    FaasletError::refused(
        what,
        format!("it has {bytes} bytes, a module may have {MAX_MODULE_BYTES}"),
    )
}

fn is_within(interface: &Interface, settings: &EngineSettings) -> Result<(), Unfit> {
    let pages = interface.memories.iter().map(|memory| memory.initial).max();
    let bytes = pages.unwrap_or(0).saturating_mul(PAGE_BYTES);
    if bytes > settings.memory_limit_bytes {
        return Err(Unfit::Memory {
            bytes,
            limit: settings.memory_limit_bytes,
        });
    }
    let elements = interface.tables.iter().map(|table| table.initial).max();
    let elements = elements.unwrap_or(0);
    if elements > u64::from(settings.table_limit_elements) {
        return Err(Unfit::Table {
            elements,
            limit: settings.table_limit_elements,
        });
    }
    let limit = ELEMENTS_PER_TABLE * u64::from(settings.table_limit_elements);
    if interface.elements > limit {
        return Err(Unfit::Elements {
            elements: interface.elements,
            limit,
        });
    }
    Ok(())
}

fn is_program(interface: &Interface) -> Result<(), Unfit> {
    let is_foreign = |import: &&Import| {
        !matches!(import.ty, TypeRef::Func(_))
            || import.module != wasi::MODULE
            || !wasi::offered(&import.name)
    };
    let foreign = interface.imports.iter().filter(is_foreign);
    let named = foreign.map(|import| {
        let part = |name: &str| words::name(name, NAME_CHARS);
        format!("{}.{}", part(&import.module), part(&import.name))
    });
    if let Some(names) = shown(named) {
        let world = foreign::world_of(&interface.imports);
        return Err(Unfit::Imports { names, world });
    }
    let starts = interface.exported_functions().any(|export| {
        export.name == "_start"
            && interface
                .function_type(export.index)
                .is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty())
    });
    if starts && interface.exports("memory", ExternalKind::Memory) {
        Ok(())
    } else if interface.exports("_initialize", ExternalKind::Func) {
        Err(Unfit::Library)
    } else {
        Err(Unfit::NoProgram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> FaasletEngine {
        FaasletEngine::new(EngineSettings {
            instances: 1,
            ..EngineSettings::default()
        })
        .expect("an engine")
    }

    fn verdict(wat: &str) -> Result<(), FaasletError> {
        let wasm = wat::parse_str(wat).expect("a module");
        validate(&engine(), "it", &wasm)
    }

    fn refusal(wat: &str) -> String {
        verdict(wat).expect_err("refused").to_string()
    }

    #[test]
    fn a_wasi_program_passes() {
        let program = r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (memory (export "memory") 2) (table 1 funcref) (func (export "_start")))"#;
        verdict(program).expect("a program");
    }

    #[test]
    fn what_begins_above_a_limit_is_refused() {
        let memory = r#"(module (memory (export "memory") 65536) (func (export "_start")))"#;
        assert!(refusal(memory).contains("--memory-limit"));
        let table = r#"(module (table 9999999 funcref) (memory (export "memory") 1) (func (export "_start")))"#;
        assert!(refusal(table).contains("9999999 elements"));
        let many = format!(
            r#"(module (memory (export "memory") 1) (func $f (export "_start")) (elem func {}))"#,
            "$f ".repeat(131_073)
        );
        assert!(refusal(&many).contains("131073 elements"));
    }

    #[test]
    fn what_a_module_calls_something_is_told_in_a_few_words() {
        let import = format!(r#"(import "\1b]0;x\07" "{}" (func))"#, "n".repeat(90_000)).repeat(50);
        let said = refusal(&format!(r#"(module {import})"#));
        assert!(
            said.contains(r"\u{1b}]0;x\u{7}.nnn") && said.contains("and 42 more"),
            "{said}"
        );
        assert!(
            said.len() < 4000 && !said.contains(char::is_control),
            "{said}"
        );
    }

    #[test]
    fn what_the_engine_has_off_is_named_and_what_it_has_on_is_taken() {
        let program = |body: &str| {
            format!(
                r#"(module (memory (export "memory") 1) (func $f (export "_start") {body}) (elem declare func $f))"#
            )
        };
        for (body, feature) in [
            (
                "(drop (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)))",
                None,
            ),
            ("(return_call $f)", None),
            ("(drop (ref.as_non_null (ref.func $f)))", None),
            ("(drop (i32.atomic.load (i32.const 0)))", Some("threads")),
            (
                "(i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)) drop drop",
                Some("wide-arithmetic"),
            ),
            (
                "(block $b (result exnref) (try_table (catch_all_ref $b)) unreachable) drop",
                Some("exceptions"),
            ),
        ] {
            match feature {
                None => verdict(&program(body)).expect(body),
                Some(feature) => {
                    let said = refusal(&program(body));
                    assert!(
                        said.contains(&format!("it needs {feature}, which")),
                        "{said}"
                    );
                }
            }
        }
        for (memory, feature) in [
            ("(memory (export \"memory\") i64 1)", "memory64"),
            ("(memory (export \"memory\") 1) (memory 1)", "multi-memory"),
            ("(memory (export \"memory\") 1 2 shared)", "threads"),
            (
                "(memory (export \"memory\") 1 (pagesize 1))",
                "custom-page-sizes",
            ),
            ("(type (struct)) (memory (export \"memory\") 1)", "gc"),
        ] {
            let said = refusal(&format!("(module {memory} (func (export \"_start\")))"));
            assert!(
                said.contains(&format!("it needs {feature}, which")),
                "{said}"
            );
        }
        let said =
            refusal(r#"(module (memory (export "memory") 1) (func (export "_initialize")))"#);
        assert!(said.contains("a reactor"), "{said}");
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
            assert!(refusal(&wat).contains("not offered"), "{import}");
        }
    }
}
