//! The process that compiles: a module on standard input, its code on standard output.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use wasmtime::{Engine, InstanceAllocationStrategy};

use crate::bulk::{component_in_pieces, in_pieces};
use crate::component::is_component;
use crate::error::FaasletError;
use crate::settings::EngineSettings;
use crate::thread::panic_message;
use crate::validate::validate_with;

/// The argument that says what the process is for.
const ARGUMENT: &str = "compile-module";
/// Exit code: the module is refused; standard error says why.
pub(super) const REFUSED: i32 = 65;
const REFUSED_CODE: u8 = 65;
const FAILED_CODE: u8 = 1;

/// What the compiler says where the code that brings strings from one memory to another needs several of them, which are off.
const ADAPTER: &str = "invalid adapter module";
const STRINGS: &str = "its components hand one another strings or lists, for which the engine needs several memories, and these are off here; build them as one";

/// What is compiled, in a word.
const COMPONENT: &str = "component";
const MODULE: &str = "module";

/// The arguments by which the process comes to have `settings`, as far as they concern what is compiled, a component or a module.
pub(super) fn arguments(settings: &EngineSettings, component: bool) -> Vec<OsString> {
    let numbers = [
        settings.memory_limit_bytes,
        settings.table_limit_elements.into(),
        settings.stack_limit_bytes as u64,
    ];
    let words = numbers.iter().map(ToString::to_string);
    let profiling = settings.profiling.name().to_owned();
    let kind = if component { COMPONENT } else { MODULE };
    std::iter::once(ARGUMENT.to_owned())
        .chain(words)
        .chain([profiling, kind.to_owned()])
        .map(OsString::from)
        .collect()
}

/// Settings, and whether a component is to be compiled.
fn settings(arguments: &[String]) -> Option<(EngineSettings, bool)> {
    let [memory, table, stack, profiling, kind] = arguments else {
        return None;
    };
    let component = match kind.as_str() {
        COMPONENT => true,
        MODULE => false,
        _ => return None,
    };
    let settings = EngineSettings {
        memory_limit_bytes: memory.parse().ok()?,
        table_limit_elements: table.parse().ok()?,
        stack_limit_bytes: stack.parse().ok()?,
        profiling: profiling.parse().ok()?,
        ..EngineSettings::default()
    };
    Some((settings, component))
}

/// Compiles what comes on standard input, if the command line asks for it.
pub(super) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let arguments: Vec<String> = arguments.collect();
    // What a panic says is part of the refusal; where it was says nothing to whoever reads that.
    panic::set_hook(Box::new(|_| {}));
    Some(match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(WorkerError::Refused(why)) => {
            eprintln!("{why}");
            ExitCode::from(REFUSED_CODE)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(FAILED_CODE)
        }
    })
}

#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("{0}")]
    Refused(String),
    #[error("{ARGUMENT} is for this program's own use")]
    Usage,
    #[error("no engine: {0}")]
    Engine(String),
    #[error(transparent)]
    Filter(#[from] confine::FilterError),
    #[error("no module, or no place for its code: {0}")]
    Streams(#[from] io::Error),
}

fn run(arguments: &[String]) -> Result<(), WorkerError> {
    let (settings, component) = settings(arguments).ok_or(WorkerError::Usage)?;
    let mut config = if component {
        settings.component_config()
    } else {
        settings.config()
    };
    // Slots are for running, and their address space is not to be had under a limit.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    let engine = Engine::new(&config).map_err(|e| WorkerError::Engine(format!("{e:#}")))?;
    // From here on the worst that a module can do is done with its own bytes.
    confine::give_up_rights()?;
    let mut wasm = Vec::new();
    io::stdin().read_to_end(&mut wasm)?;
    if is_component(&wasm) != component {
        return Err(WorkerError::Usage);
    }
    let code = check_and_compile(&engine, &settings, "it", &wasm).map_err(|e| match e {
        FaasletError::Refused { cause, .. } => WorkerError::Refused(cause),
        other => WorkerError::Refused(other.to_string()),
    })?;
    Ok(io::stdout().write_all(&code)?)
}

/// The code of `wasm`, if it is a valid module that may run.
pub(super) fn check_and_compile(
    engine: &Engine,
    settings: &EngineSettings,
    what: &str,
    wasm: &[u8],
) -> Result<Vec<u8>, FaasletError> {
    validate_with(engine, settings, what, wasm)?;
    let made = catch_unwind(AssertUnwindSafe(|| machine_code(engine, wasm)));
    let said = match made {
        Ok(Ok(code)) => return Ok(code),
        Ok(Err(error)) => format!("{error:#}"),
        // A fault of the compiler's, or what of a valid component it has no words for.
        Err(panic) => match panic_message(&*panic) {
            said if said.contains(ADAPTER) => STRINGS.to_owned(),
            said => format!("the compiler gives up: {said}"),
        },
    };
    let cause = format!("it cannot be compiled: {said}");
    Err(FaasletError::refused(what, cause))
}

/// The one place where a compiler is called.
fn machine_code(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    if is_component(wasm) {
        return engine.precompile_component(&component_in_pieces(wasm)?);
    }
    engine.precompile_module(&in_pieces(wasm)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_the_arguments() {
        let sent = EngineSettings {
            memory_limit_bytes: 123 << 16,
            table_limit_elements: 7,
            stack_limit_bytes: 1 << 18,
            ..EngineSettings::default()
        };
        for component in [false, true] {
            let words: Vec<String> = arguments(&sent, component)
                .into_iter()
                .map(|word| word.into_string().expect("text"))
                .collect();
            assert_eq!(words[0], ARGUMENT);
            assert_eq!(settings(&words[1..]), Some((sent.clone(), component)));
            assert_eq!(settings(&words), None);
        }
        assert_eq!(settings(&[]), None);
    }

    #[test]
    fn code_is_the_same_without_slots() {
        let settings = EngineSettings::default();
        let mut config = settings.config();
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        let (here, there) = (
            Engine::new(&settings.config()).expect("an engine"),
            Engine::new(&config).expect("an engine"),
        );
        let wasm =
            wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#)
                .expect("a module");
        let code = |engine| check_and_compile(engine, &settings, "it", &wasm).expect("code");
        assert_eq!(code(&here), code(&there));
    }

    #[test]
    fn a_component_whose_parts_hand_one_another_strings_is_told_so() {
        let text = r#"(component
            (component $reader
                (core module $m
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16))
                    (func (export "length") (param i32 i32) (result i32) (local.get 1)))
                (core instance $i (instantiate $m))
                (func (export "length") (param "text" string) (result u32)
                    (canon lift (core func $i "length") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
            (component $program
                (import "length" (func $length (param "text" string) (result u32)))
                (core module $mem (memory (export "memory") 1))
                (core instance $mem (instantiate $mem))
                (core func $lowered (canon lower (func $length) (memory (core memory $mem "memory"))))
                (core module $m
                    (import "" "length" (func $length (param i32 i32) (result i32)))
                    (func (export "run") (result i32) (i32.ne (call $length (i32.const 0) (i32.const 5)) (i32.const 5))))
                (core instance $i (instantiate $m (with "" (instance (export "length" (func $lowered))))))
                (func (export "run") (result (result)) (canon lift (core func $i "run"))))
            (instance $reader (instantiate $reader))
            (instance $program (instantiate $program (with "length" (func $reader "length"))))
            (instance $run (export "run" (func $program "run")))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#;
        let wasm = wat::parse_str(text).expect("a component");
        let settings = EngineSettings::default();
        let mut config = settings.component_config();
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        let engine = Engine::new(&config).expect("an engine");
        let refused = check_and_compile(&engine, &settings, "it", &wasm).expect_err("refused");
        let said = refused.to_string();
        assert!(said.contains(STRINGS), "{said}");
    }
}
