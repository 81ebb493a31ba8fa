//! Snapshots: a program is initialised once, and what it has become is written out as a module of its own,
//! from which each start is a copy-on-write restore.
//!
//! The module's memory becomes data segments, its mutable globals get the values that they had, its start
//! section and initialiser go, and its entry takes the place of `_start`. The pooling allocator then maps
//! the memory's image copy-on-write, as it does for every module: a Faaslet from a snapshot is a Faaslet.
//! Tables need no snapshot because a program that could change one is refused.
//!
//! Host state is not in a snapshot. Each start gets the same grants as the initialiser had, hence the same
//! descriptors for the directories that it was given; a descriptor that the initialiser opened and left
//! open would lead nowhere, so it is refused (`descriptors`). See `docs/snapshots.md`.

mod descriptors;
mod names;
mod state;

use std::fmt::Display;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasmtime::{Instance, Store as WasmStore};
use wasmtime_wizer::Wizer;

use names::REACTOR;
pub use names::{ENTRIES, INITIALIZERS, Names, Plan};

use crate::engine::FaasletEngine;
use crate::error::{FaasletError, ProcExit, StartError};
use crate::grants::Grants;
use crate::host::Host;
use crate::program::Program;
use crate::settings::EngineSettings;
use state::Initialized;

/// The snapshot of `wasm`, a valid program called `what` in errors, after what `plan` names has run with
/// `grants`: a module.
///
/// # Errors
/// It cannot be snapshotted, or its initialiser failed, ended the program or left a descriptor open.
pub fn take(
    engine: &FaasletEngine,
    what: &str,
    wasm: &[u8],
    grants: &Grants,
    plan: &Plan,
) -> Result<Vec<u8>, FaasletError> {
    let failed = |cause: &dyn Display| FaasletError::snapshot(what, cause);
    let engine_said = |e: wasmtime::Error| failed(&format!("{e:#}"));
    let Some(initializer) = &plan.initializer else {
        // All that it does it does at each start: its snapshot is the program itself.
        return Ok(wasm.to_vec());
    };
    let mut wizer = Wizer::new();
    wizer.init_func(initializer);
    if let Some(entry) = &plan.entry {
        wizer.func_rename("_start", entry);
    }
    let (context, instrumented) = wizer.instrument(wasm).map_err(engine_said)?;
    // Beside the program there is the one that looks at its descriptors, twice.
    let engine = FaasletEngine::new(EngineSettings {
        instances: 3,
        ..engine.settings().clone()
    })?
    .with_compiler(engine.compiler().clone());
    let module = engine.compile_module(what, &instrumented)?;
    let function = Program::new(&engine, what, &module, grants.clone())?;
    let (mut store, instance) = function.instance().map_err(|e| failed(&e))?;
    let linker = function
        .linker()
        .map_err(|e| failed(&format!("no access to its descriptors: {e:#}")))?;
    let before = descriptors::open(&linker, &mut store).map_err(engine_said)?;
    if plan.has_reactor {
        call(&function, &mut store, &instance, REACTOR).map_err(|e| failed(&e))?;
    }
    if initializer != REACTOR {
        call(&function, &mut store, &instance, initializer).map_err(|e| failed(&e))?;
    }
    let after = descriptors::open(&linker, &mut store).map_err(engine_said)?;
    descriptors::compare(&before, &after).map_err(|e| failed(&e))?;
    let mut state = Initialized {
        store: &mut store,
        instance,
    };
    ready(wizer.snapshot(&context, &mut state)).map_err(engine_said)
}

/// How an initialiser failed.
#[derive(Debug, thiserror::Error)]
enum InitializerError {
    #[error("`{0}` must have no parameters and no results")]
    Signature(String),
    #[error("`{name}` ended the program with exit code {code} instead of returning{}", said(.note))]
    Exited {
        name: String,
        code: i32,
        note: String,
    },
    #[error(
        "`{name}` failed: it is still running after the deadline of {limit:?}; raise it with --deadline"
    )]
    Late { name: String, limit: Duration },
    #[error("`{name}` failed: {source}")]
    Failed { name: String, source: StartError },
}

fn said(note: &str) -> String {
    if note.is_empty() {
        String::new()
    } else {
        format!(" ({note})")
    }
}

/// Calls the function `name`, which must return.
fn call(
    function: &Program,
    store: &mut WasmStore<Host>,
    instance: &Instance,
    name: &str,
) -> Result<(), InitializerError> {
    let name = name.to_owned();
    let Ok(initializer) = instance.get_typed_func::<(), ()>(&mut *store, &name) else {
        return Err(InitializerError::Signature(name));
    };
    let watched = function.watched(store);
    let outcome = initializer.call(&mut *store, ());
    drop(watched);
    let Err(error) = outcome else {
        return Ok(());
    };
    if let Some(&ProcExit(code)) = error.downcast_ref() {
        let note = store.data().note();
        return Err(InitializerError::Exited { name, code, note });
    }
    match function.failure(&error, store.data()) {
        Err(StartError::Deadline(limit)) => Err(InitializerError::Late { name, limit }),
        Err(source) => Err(InitializerError::Failed { name, source }),
        // Only of exit code 0, which is an error here and was seen above.
        Ok(()) => Ok(()),
    }
}

/// The value of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
