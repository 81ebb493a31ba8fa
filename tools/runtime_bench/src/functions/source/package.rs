//! A Cargo package to both sides, by the toolchain that it is built with where it lies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure_core::base::programs::on_path;

use super::super::error::FunctionError;
use super::super::paths::make_dir;
use super::{Compiled, Sides, run};

const WASM_TARGET: &str = "wasm32-wasip1";

/// Compiles the package `source` into `scratch`.
pub(super) fn compile(
    source: &Path,
    scratch: &Path,
    sides: Sides,
) -> Result<Compiled, FunctionError> {
    if on_path("cargo").is_none() {
        return Err(FunctionError::Unavailable(
            "no cargo: install Rust by rustup, or give --native and --wasm".into(),
        ));
    }
    let target = scratch.join("target");
    make_dir(&target)?;
    // A package may say another target than the host's for whoever builds it, as those for Wasm do.
    let host = host_target(source)?;
    let build = |target_triple: &str| {
        let mut command = Command::new("cargo");
        command
            .args([
                "build",
                "--release",
                "--target",
                target_triple,
                "--target-dir",
            ])
            .arg(&target)
            .current_dir(source);
        command
    };
    let built = |target_triple: &str| target.join(target_triple).join("release");
    run(build(&host), "natively", String::new)?;
    let native = only_program(&built(&host), source, None)?;
    if sides == Sides::Native {
        return Ok(Compiled::only(native));
    }
    if !has_target(source, WASM_TARGET) {
        let note = format!(
            "no Wasm side: this toolchain has no target {WASM_TARGET}; `rustup target add {WASM_TARGET}`, then add it again"
        );
        return Ok(Compiled {
            native,
            wasm: None,
            note: Some(note),
        });
    }
    run(build(WASM_TARGET), "to Wasm", String::new)?;
    let wasm = only_program(&built(WASM_TARGET), source, Some("wasm"))?;
    Ok(Compiled {
        native,
        wasm: Some(wasm),
        note: None,
    })
}

/// The host's own target, as the toolchain of the package calls it.
fn host_target(source: &Path) -> Result<String, FunctionError> {
    let asked = Command::new("rustc")
        .arg("-vV")
        .current_dir(source)
        .output()
        .map_err(FunctionError::io("rustc"))?;
    let said = String::from_utf8_lossy(&asked.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| {
        let said = String::from_utf8_lossy(&asked.stderr);
        FunctionError::Unavailable(format!("rustc does not say its host: {}", said.trim()))
    })
}

/// Whether the standard library is there for `target`.
fn has_target(source: &Path, target: &str) -> bool {
    let said = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(source)
        .output();
    said.is_ok_and(|output| {
        let dir = String::from_utf8_lossy(&output.stdout);
        output.status.success() && Path::new(dir.trim()).is_dir()
    })
}

/// The one program that was built, a file with this `ending`.
fn only_program(dir: &Path, source: &Path, ending: Option<&str>) -> Result<PathBuf, FunctionError> {
    let refused = |why: String| FunctionError::Refused(format!("{} {why}", source.display()));
    let entries = fs::read_dir(dir).map_err(FunctionError::io(dir))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.is_file()
                && !name.starts_with('.')
                && path.extension().and_then(|end| end.to_str()) == ending
        })
        .collect();
    found.sort();
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(refused(
            "builds no program, but a library: a function has a main".to_owned(),
        )),
        more => {
            let names = more.iter().filter_map(|path| path.file_stem());
            let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
            Err(refused(format!(
                "builds {} programs ({}), and a function is one: give it as --native and --wasm",
                more.len(),
                names.join(", ")
            )))
        }
    }
}
