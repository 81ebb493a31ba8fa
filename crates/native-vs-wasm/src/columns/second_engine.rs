//! The second ahead-of-time engine: the store's modules by way of C (the crate `wasm2c`), as shared libraries that are
//! compiled when they are first asked for and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faaslet::settings::GUARD_BYTES;
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use second_engine::{COMPILER, Parts, SecondEngineError, Toolchain};

use crate::column::NotReady;

/// The name of a column by this engine.
pub const WASM2C: &str = "wasm-wasm2c";

/// What one tool may take for one file, on however slow a host.
const COMPILE_LIMIT: Duration = Duration::from_secs(1200);
/// Where libraries are kept, below the home: `<user>-<function>-<hash of all that they depend on>`.
const CACHE: &str = "by-c";
/// Compiling more than this takes minutes.
const LARGE_BYTES: usize = 1 << 20;

/// The tools, and the libraries that they made.
pub struct SecondEngine {
    toolchain: Result<Toolchain, SecondEngineError>,
    cache: PathBuf,
}

impl SecondEngine {
    /// Looks for the tools; whether they are there, [`SecondEngine::check`] says.
    #[must_use]
    pub fn find() -> Self {
        let home = home::root();
        Self {
            toolchain: Toolchain::find(&home, COMPILER),
            cache: home.join(CACHE),
        }
    }

    /// Whether the tools are there.
    ///
    /// # Errors
    /// Why not, and how to mend it.
    pub fn check(&self) -> Result<(), NotReady> {
        self.toolchain().map(drop)
    }

    /// Its tools and how they are told, for the records.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let tools = self.toolchain.as_ref();
        tools.map(Toolchain::describe).unwrap_or_default()
    }

    /// The library of the function `id`, whose module is `wasm`, compiled unless it has been before.
    ///
    /// # Errors
    /// It cannot be compiled.
    pub fn library(&self, id: &FunctionId, wasm: &[u8]) -> Result<PathBuf, NotReady> {
        let toolchain = self.toolchain()?;
        let stem = format!("{}-{}", id.user(), id.function());
        let not_compiled = |error: SecondEngineError| NotReady {
            why: format!("{id} cannot be compiled by way of C: {error}"),
            mend: "the other columns can do without it".to_owned(),
        };
        let parts = Parts::read(wasm).map_err(not_compiled)?;
        let key = toolchain.key(&parts, GUARD_BYTES);
        let path = self.cache.join(format!("{stem}-{key}"));
        if path.is_file() {
            return Ok(path);
        }
        if wasm.len() > LARGE_BYTES {
            eprintln!("{WASM2C}: compiling {id} by way of C: minutes, once");
        }
        toolchain
            .compile(wasm, &path, GUARD_BYTES, COMPILE_LIMIT)
            .map_err(not_compiled)?;
        remove_older(&self.cache, &stem, &path);
        Ok(path)
    }

    fn toolchain(&self) -> Result<&Toolchain, NotReady> {
        self.toolchain.as_ref().map_err(|why| NotReady {
            why: why.to_string(),
            mend: "`make wasm2c` installs wasm2c".to_owned(),
        })
    }
}

/// Removes what was made of the same function's earlier modules, or by other tools.
fn remove_older(cache: &Path, stem: &str, keep: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let key = file
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_prefix('-'));
        let is_key = |key: &str| key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit());
        if key.is_some_and(is_key) && path != keep {
            let _ = fs::remove_file(&path);
        }
    }
}
