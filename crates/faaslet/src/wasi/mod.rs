//! What a module may import: `wasi_snapshot_preview1`, and nothing else.
//!
//! Programs that only compute and use their standard streams ([`LIGHT`]: most C programs, all of the
//! benchmarks' kernels) are served by a few functions on plain host state, which cost nothing
//! until they are called. A program that imports any other function, or is given a directory, gets a table of
//! descriptors ([`crate::files`]) and all of preview 1. The choice follows from the module's imports and its grants
//! alone, is made once when the function is loaded, and the light functions answer as the others would for a
//! program without files.

mod calls;
mod fds;
mod memory;
mod paths;
mod poll;
mod preview1;
mod streams;

use wasmtime::{Engine, Linker};

use crate::host::Host;

pub(crate) use preview1::{LIGHT, MODULE, offered};

/// All of preview 1 for programs with files, else the functions of [`LIGHT`].
pub(crate) fn linker(engine: &Engine, files: bool) -> wasmtime::Result<Linker<Host>> {
    if files { full(engine) } else { light(engine) }
}

/// The functions of [`LIGHT`].
fn light(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
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
    use super::preview1::FILES;
    use super::*;
    use crate::deadline::Deadlines;
    use crate::grants::Grants;
    use crate::settings::EngineSettings;

    fn names(linker: &Linker<Host>, engine: &Engine) -> Vec<String> {
        let grants = std::sync::Arc::new(Grants::default());
        let settings = EngineSettings::default();
        let watch = Deadlines::watch(&std::sync::Arc::default(), settings.deadline);
        let host = Host::new(&grants, &settings, watch);
        let mut store = wasmtime::Store::new(engine, host);
        let mut names: Vec<String> = linker
            .iter(&mut store)
            .inspect(|(module, ..)| assert_eq!(*module, MODULE))
            .map(|(_, name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_linkers_offer_what_the_lists_say() {
        let engine = Engine::default();
        assert_eq!(names(&light(&engine).expect("a linker"), &engine), LIGHT);
        let mut all: Vec<&str> = LIGHT.into_iter().chain(FILES).collect();
        all.sort_unstable();
        assert_eq!(names(&full(&engine).expect("a linker"), &engine), all);
    }
}
