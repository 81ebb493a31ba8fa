//! Libraries of Python that our files are read by, in an environment of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::skipped;

/// Seconds that fetching packages may take.
const PATIENCE_S: &str = "300";

/// A Python that has the modules `packages` (named as on PyPI): the host's, or one in an environment made in `dir` with what pip
/// fetches. `None`, said, where there is neither.
#[must_use]
pub fn with_packages(dir: &Path, packages: &[&str]) -> Option<PathBuf> {
    let imports = format!("import {}", packages.join(", "));
    let has = |python: &Path| {
        let found = run(python, &["-c", &imports]);
        found.is_ok_and(|output| output.status.success())
    };
    let own = dir.join("bin/python");
    for python in [PathBuf::from("python3"), own.clone()] {
        if has(&python) {
            return Some(python);
        }
    }
    let text = dir.to_string_lossy();
    let pip = dir.join("bin/pip").to_string_lossy().into_owned();
    let mut install = vec![PATIENCE_S, &pip, "install", "--quiet"];
    install.extend(packages);
    let made = run(Path::new("python3"), &["-m", "venv", &text])
        .and_then(|_| run(Path::new("timeout"), &install));
    if has(&own) {
        return Some(own);
    }
    let why = match made {
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let why = why.lines().last().unwrap_or("no reason told").to_owned();
    let packages = packages.join(" ");
    skipped(
        packages.clone(),
        format!("pip cannot fetch it ({why}); pip install {packages}"),
    );
    None
}

fn run(program: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
}
