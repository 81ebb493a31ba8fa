//! Sources to both sides: C and C++ by one clang, Cargo packages by the toolchain's own targets.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use measure_core::base::programs::on_path;
use measure_core::base::words::plain;

use super::error::FunctionError;
use super::paths::make_dir;

const C_COMPILER: &str = "clang-19";
const CPP_COMPILER: &str = "clang++-19";
const C_PACKAGES: &str = "apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32";
const CPP_PACKAGES: &str = "apt-get install libc++-19-dev-wasm32 libc++abi-19-dev-wasm32";
/// What both sides are compiled with, so that they differ in nothing else.
const COMMON: [&str; 1] = ["-O3"];
const NATIVE: [&str; 1] = ["-static"];
/// As the demo functions are (Makefile).
const WASM: [&str; 4] = [
    "--target=wasm32-wasi",
    "--sysroot=/usr",
    "-msimd128",
    "-Wl,--strip-debug",
];
const WASM_TARGET: &str = "wasm32-wasip1";
/// A compiler says more than this only if there is no end to it.
const SAID_CHARS: usize = 4000;

/// What came of a source.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) native: PathBuf,
    /// Nothing where the toolchain has no target for it.
    pub(super) wasm: Option<PathBuf>,
    /// What to tell the user.
    pub(super) note: Option<String>,
}

impl Compiled {
    fn only(native: PathBuf) -> Self {
        Self {
            native,
            wasm: None,
            note: None,
        }
    }
}

/// Which sides are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    Both,
    Native,
}

/// Compiles `source` into `scratch`.
pub(super) fn compile(
    source: &Path,
    scratch: &Path,
    sides: Sides,
) -> Result<Compiled, FunctionError> {
    if source.join("Cargo.toml").is_file() {
        return compile_package(source, scratch, sides);
    }
    let files = c_files(source)?;
    let (native, wasm) = (scratch.join("native"), scratch.join("function.wasm"));
    let is_cpp = files
        .iter()
        .any(|file| file.extension().is_none_or(|end| end != "c"));
    let compiler = if is_cpp { CPP_COMPILER } else { C_COMPILER };
    if on_path(compiler).is_none() {
        return Err(FunctionError::Unavailable(format!(
            "no {compiler}: {C_PACKAGES}"
        )));
    }
    let include = match source.is_dir() {
        true => source,
        false => source.parent().unwrap_or(Path::new("")),
    };
    let include = if include.as_os_str().is_empty() {
        Path::new(".")
    } else {
        include
    };
    let side = |flags: &[&str], out: &Path| {
        let mut command = Command::new(compiler);
        command
            .args(COMMON)
            .args(flags)
            .arg("-I")
            .arg(include)
            .args(&files)
            .arg("-lm")
            .arg("-o")
            .arg(out);
        command
    };
    run(side(&NATIVE, &native), "natively", "")?;
    if sides == Sides::Native {
        return Ok(Compiled::only(native));
    }
    let mut flags = WASM.to_vec();
    if is_cpp {
        // Its library for Wasm has none.
        flags.push("-fno-exceptions");
    }
    let hint = if is_cpp {
        format!(" ({CPP_PACKAGES} brings its library)")
    } else {
        format!(" ({C_PACKAGES} brings what it needs)")
    };
    run(side(&flags, &wasm), "to Wasm", &hint)?;
    Ok(Compiled {
        native,
        wasm: Some(wasm),
        note: None,
    })
}

/// The file `source`, or those of C or C++ in the directory.
fn c_files(source: &Path) -> Result<Vec<PathBuf>, FunctionError> {
    let is_source = |path: &PathBuf| {
        let end = path.extension().and_then(|end| end.to_str());
        matches!(end, Some("c" | "cc" | "cpp" | "cxx"))
    };
    let file = source.to_owned();
    if !source.is_dir() {
        fs::metadata(source).map_err(FunctionError::io(source))?;
        return match is_source(&file) {
            true => Ok(vec![file]),
            false => Err(FunctionError::Refused(format!(
                "{} is no source that is known here: FILE.c, FILE.cpp, a directory of these, or a Cargo package",
                source.display()
            ))),
        };
    }
    let entries = fs::read_dir(source).map_err(FunctionError::io(source))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(is_source)
        .collect();
    files.sort();
    match files.is_empty() {
        true => Err(FunctionError::Refused(format!(
            "{} holds neither C, C++ nor a Cargo package",
            source.display()
        ))),
        false => Ok(files),
    }
}

fn compile_package(source: &Path, scratch: &Path, sides: Sides) -> Result<Compiled, FunctionError> {
    if on_path("cargo").is_none() {
        return Err(FunctionError::Unavailable(
            "no cargo: install Rust by rustup, or give --native and --wasm".into(),
        ));
    }
    let target = scratch.join("target");
    make_dir(&target)?;
    let build = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .args(["build", "--release", "--target-dir"])
            .arg(&target)
            .args(arguments)
            .current_dir(source);
        command
    };
    run(build(&[]), "natively", "")?;
    let native = only_program(&target.join("release"), source, |path| {
        path.extension().is_none()
    })?;
    if sides == Sides::Native {
        return Ok(Compiled::only(native));
    }
    if !has_target(WASM_TARGET) {
        let note = format!(
            "no Wasm side: this toolchain has no target {WASM_TARGET}; `rustup target add {WASM_TARGET}`, then add it again"
        );
        return Ok(Compiled {
            native,
            wasm: None,
            note: Some(note),
        });
    }
    run(build(&["--target", WASM_TARGET]), "to Wasm", "")?;
    let dir = target.join(WASM_TARGET).join("release");
    let wasm = only_program(&dir, source, |path| {
        path.extension().is_some_and(|end| end == "wasm")
    })?;
    Ok(Compiled {
        native,
        wasm: Some(wasm),
        note: None,
    })
}

/// Whether the toolchain's standard library is there for `target`.
fn has_target(target: &str) -> bool {
    let said = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output();
    said.is_ok_and(|output| {
        let dir = String::from_utf8_lossy(&output.stdout);
        output.status.success() && Path::new(dir.trim()).is_dir()
    })
}

/// The one program that was built.
fn only_program(
    dir: &Path,
    source: &Path,
    is_one: impl Fn(&Path) -> bool,
) -> Result<PathBuf, FunctionError> {
    let entries = fs::read_dir(dir).map_err(FunctionError::io(dir))?;
    let files = entries
        .flatten()
        .map(|e| e.path())
        .filter(|path| path.is_file());
    let mut found: Vec<PathBuf> = files
        .filter(|path| {
            is_one(path)
                && !path
                    .file_name()
                    .is_some_and(|n| n.to_string_lossy().starts_with('.'))
        })
        .collect();
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        _ => Err(FunctionError::Refused(format!(
            "{} builds not one program: a function is one",
            source.display()
        ))),
    }
}

fn run(mut command: Command, what: &str, hint: &str) -> Result<(), FunctionError> {
    let program = command.get_program().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(FunctionError::io(OsString::from(&program)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let skipped = said.chars().count().saturating_sub(SAID_CHARS);
    let said: String = said.chars().skip(skipped).collect();
    Err(FunctionError::Refused(format!(
        "{} does not compile it {what}{hint}:\n{}",
        program.to_string_lossy(),
        plain(said.trim())
    )))
}
