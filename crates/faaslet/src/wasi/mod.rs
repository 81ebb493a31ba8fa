//! What a module may import: `wasi_snapshot_preview1`, and nothing else.
//!
//! Programs that only compute and use their standard streams ([`is_light`]: most C programs, all of the
//! benchmarks' kernels) are served by a few functions on plain host state, which cost nothing
//! until they are called. A program that imports any other function, or is given a directory, gets a table of
//! descriptors ([`crate::files`]) and all of preview 1. The choice follows from the module's imports and its grants
//! alone, is made once when the function is loaded, and the light functions answer as the others would for a
//! program without files.

mod calls;
mod fds;
mod memory;
mod output;
mod paths;
mod poll;
mod streams;

use wasmtime::{Engine, Linker};

use crate::error::ProcExit;
use crate::host::Host;

pub(crate) use output::write_some;
pub(crate) use wasm_interface::WASI as MODULE;

const EXIT: &str = "proc_exit";

/// Whether the function `name` of [`MODULE`] needs no table of descriptors.
pub(crate) fn is_light(name: &str) -> bool {
    calls::NAMES.contains(&name) || [EXIT, poll::NAME].contains(&name)
}

/// Whether `name` of [`MODULE`] is offered to some program.
pub(crate) fn offered(name: &str) -> bool {
    let others = [streams::NAMES, fds::NAMES, paths::NAMES];
    is_light(name) || others.iter().any(|names| names.contains(&name))
}

/// All of preview 1 for programs with files, else the light functions.
pub(crate) fn linker(engine: &Engine, files: bool) -> wasmtime::Result<Linker<Host>> {
    if files { full(engine) } else { light(engine) }
}

fn light(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(MODULE, EXIT, |status: i32| -> wasmtime::Result<()> {
        Err(ProcExit(status).into())
    })?;
    calls::link(&mut linker)?;
    poll::link(&mut linker)?;
    Ok(linker)
}

/// All of preview 1, over a table of descriptors.
fn full(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = light(engine)?;
    // Those that are told a descriptor are told any.
    linker.allow_shadowing(true);
    streams::link(&mut linker)?;
    fds::link(&mut linker)?;
    paths::link(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::deadline::Deadlines;
    use crate::given::Given;
    use crate::grants::Grants;
    use crate::settings::EngineSettings;
    use wasmtime::Store;
    use wasmtime_wasi::{WasiCtxBuilder, p1};

    fn names<T: 'static>(linker: &Linker<T>, data: T) -> Vec<String> {
        let mut names: Vec<String> = linker
            .iter(&mut Store::new(linker.engine(), data))
            .filter(|(module, ..)| *module == MODULE)
            .map(|(_, name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_linkers_offer_preview_1_and_what_of_it_is_light() {
        let engine = Engine::default();
        let host = || {
            let settings = EngineSettings::default();
            let watch = Deadlines::watch(&std::sync::Arc::default(), settings.deadline);
            let budget = std::sync::Arc::new(Budget::new(&settings.budget, 1));
            let given = Given::new(Grants::default(), &budget, 0);
            Host::new(&std::sync::Arc::new(given), &settings, watch)
        };
        let mut theirs = Linker::new(&engine);
        p1::add_to_linker_sync(&mut theirs, |context| context).expect("a linker");
        let all = names(&full(&engine).expect("a linker"), host());
        assert_eq!(all, names(&theirs, WasiCtxBuilder::new().build_p1()));
        assert!(all.iter().all(|name| offered(name)));
        let (light_ones, _): (Vec<String>, _) = all.into_iter().partition(|name| is_light(name));
        assert_eq!(
            names(&light(&engine).expect("a linker"), host()),
            light_ones
        );
    }
}
