//! C and C++, a file or a directory of it, to both sides by one clang.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use measure_core::base::programs::on_path;

use super::super::error::FunctionError;
use super::{Compiled, Sides, run};

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
/// Its library for Wasm has none.
const NO_EXCEPTIONS: &str = "-fno-exceptions";
/// Where a directory of sources has headers, beside its own.
const HEADERS: &str = "include";
/// What there is to be done about a program that WASI is too small for.
const NATIVE_ALONE: &str = "WASI has no threads, processes, signals and sockets, and C++ no exceptions there: leave them out, or compile it yourself and give it as --native alone";

/// A language, and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    C,
    Cpp,
}

impl Language {
    fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "c" => Some(Self::C),
            "cc" | "cpp" | "cxx" => Some(Self::Cpp),
            _ => None,
        }
    }

    /// As `-x` has it.
    fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cpp => "c++",
        }
    }

    fn compiler(self) -> &'static str {
        match self {
            Self::C => C_COMPILER,
            Self::Cpp => CPP_COMPILER,
        }
    }

    fn packages(self) -> &'static str {
        match self {
            Self::C => C_PACKAGES,
            Self::Cpp => CPP_PACKAGES,
        }
    }

    /// A program that compiles wherever its library is.
    fn least(self) -> &'static str {
        match self {
            Self::C => "#include <stdio.h>\nint main(void) { return puts(\"\"); }\n",
            Self::Cpp => "#include <string>\nint main() { return std::string(\"\").size(); }\n",
        }
    }

    fn wasm_flags(self) -> Vec<&'static str> {
        let mut flags = WASM.to_vec();
        if self == Self::Cpp {
            flags.push(NO_EXCEPTIONS);
        }
        flags
    }
}

/// Compiles `source` into `scratch`.
pub(super) fn compile(
    source: &Path,
    scratch: &Path,
    sides: Sides,
) -> Result<Compiled, FunctionError> {
    let files = files_of(source)?;
    let is_cpp = files.iter().any(|(_, language)| *language == Language::Cpp);
    let language = if is_cpp { Language::Cpp } else { Language::C };
    if on_path(language.compiler()).is_none() {
        let compiler = language.compiler();
        return Err(FunctionError::Unavailable(format!(
            "no {compiler}: {C_PACKAGES}"
        )));
    }
    let (native, wasm) = (scratch.join("native"), scratch.join("function.wasm"));
    let side = |flags: &[&str], out: &Path| {
        let mut command = Command::new(language.compiler());
        command.args(COMMON).args(flags);
        for dir in headers_of(source) {
            command.arg("-I").arg(dir);
        }
        // Each in its own language: C by the compiler of C++ is another, unless told.
        for (file, language) in &files {
            command.args(["-x", language.name()]).arg(file);
        }
        command.args(["-x", "none", "-lm", "-o"]).arg(out);
        command
    };
    run(side(&NATIVE, &native), "natively", String::new)?;
    if sides == Sides::Native {
        return Ok(Compiled::only(native));
    }
    let hint = || match makes_wasm(language, scratch) {
        true => NATIVE_ALONE.to_owned(),
        false => format!("{} brings what it needs", language.packages()),
    };
    run(side(&language.wasm_flags(), &wasm), "to Wasm", hint)?;
    Ok(Compiled {
        native,
        wasm: Some(wasm),
        note: None,
    })
}

/// Whether a program that needs next to nothing is compiled to Wasm.
fn makes_wasm(language: Language, scratch: &Path) -> bool {
    let (source, out) = (scratch.join("least"), scratch.join("least.wasm"));
    let compiled = fs::write(&source, language.least()).and_then(|()| {
        Command::new(language.compiler())
            .args(language.wasm_flags())
            .args(["-x", language.name()])
            .arg(source)
            .arg("-o")
            .arg(out)
            .stdin(Stdio::null())
            .output()
    });
    compiled.is_ok_and(|output| output.status.success())
}

/// Where headers are looked for.
fn headers_of(source: &Path) -> Vec<PathBuf> {
    let own = match source.is_dir() {
        true => source,
        false => source.parent().unwrap_or(Path::new("")),
    };
    let own = match own.as_os_str().is_empty() {
        true => Path::new("."),
        false => own,
    };
    let more = own.join(HEADERS);
    let more = (source.is_dir() && more.is_dir()).then_some(more);
    std::iter::once(own.to_owned()).chain(more).collect()
}

/// The file `source`, or those of C or C++ in the directory and below it, in order.
fn files_of(source: &Path) -> Result<Vec<(PathBuf, Language)>, FunctionError> {
    if !source.is_dir() {
        fs::metadata(source).map_err(FunctionError::io(source))?;
        let language = Language::of(source).ok_or_else(|| {
            FunctionError::Refused(format!(
                "{} is no source that is known here: FILE.c, FILE.cpp, a directory of these, or a Cargo package",
                source.display()
            ))
        })?;
        return Ok(vec![(source.to_owned(), language)]);
    }
    let mut files = Vec::new();
    find(source, &mut files)?;
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    match files.is_empty() {
        true => Err(FunctionError::Refused(format!(
            "{} holds neither C, C++ nor a Cargo package",
            source.display()
        ))),
        false => Ok(files),
    }
}

/// Finds files in `dir` and below; what is hidden, and links, are left out.
fn find(dir: &Path, found: &mut Vec<(PathBuf, Language)>) -> Result<(), FunctionError> {
    let entries = fs::read_dir(dir).map_err(FunctionError::io(dir))?;
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        match kind {
            Ok(kind) if kind.is_dir() && !hidden => find(&path, found)?,
            Ok(kind) if !kind.is_dir() && !hidden => {
                found.extend(Language::of(&path).map(|language| (path, language)));
            }
            _ => {}
        }
    }
    Ok(())
}
