//! What tests of functions share.

use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError};
use measure_core::base::home;
use second_engine::Toolchain;

/// `make test` repeats, as often as chance asks for, what `make check` tries a few times: each of these starts computes until its deadline.
pub const IS_THOROUGH: bool = !cfg!(debug_assertions);

/// Far longer than a compiler takes on a busy host.
pub const COMPILER_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

/// An engine with `instances` slots: with one, each start gets the memory that the last one dirtied.
pub fn engine(instances: u32) -> FaasletEngine {
    engine_with(EngineSettings {
        instances,
        ..EngineSettings::default()
    })
}

pub fn engine_with(settings: EngineSettings) -> FaasletEngine {
    FaasletEngine::new(settings).expect("an engine")
}

/// The function that `module`, as text or binary, holds.
pub fn function(engine: &FaasletEngine, module: impl AsRef<[u8]>, grants: Grants) -> Function {
    let wasm = wat::parse_bytes(module.as_ref()).expect("a module");
    let module = engine.compile(&wasm).expect("code");
    Function::new(engine, "it", &module, grants).expect("a function")
}

/// The exit code of a start that ended by itself.
pub fn exit_code(result: Result<(), StartError>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(StartError::ExitCode { code, .. }) => code,
        Err(other) => panic!("{other}"),
    }
}

/// The second engine's tools, or a word that the running test is skipped.
pub fn toolchain() -> Option<Toolchain> {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    Toolchain::find(&home::root(), "clang-19")
        .inspect_err(|why| eprintln!("SKIPPED: {test}: {why}: `make wasm2c` installs it"))
        .ok()
}
