//! Running the playbooks of `ansible/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::skipped;

/// The directory of the playbooks.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn directory() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ansible");
    fs::canonicalize(dir).expect("the playbooks")
}

/// Whether `program` is here; says what is skipped if not.
#[must_use]
pub fn has(program: &str, test: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        let why = format!("{program} is not installed; apt-get install ansible-core ansible-lint");
        skipped(test, why);
    }
    found
}

/// Runs `program` from inside the directory of playbooks, its own files in `scratch`.
///
/// # Panics
/// It is not there.
#[must_use]
pub fn run(program: &str, scratch: &Path, arguments: &[&str]) -> Output {
    let mut command = command(program, scratch);
    command.args(arguments).output().expect("it runs")
}

/// `program`, to be run from inside the directory of playbooks with its own files in `scratch`.
#[must_use]
pub fn command(program: &str, scratch: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory())
        .env("ANSIBLE_HOME", scratch.join("home"))
        .env("ANSIBLE_LOCAL_TEMP", scratch.join("local"))
        .env("ANSIBLE_REMOTE_TEMP", scratch.join("remote"))
        .env("ANSIBLE_NOCOLOR", "1")
        .env("LC_ALL", "C.UTF-8");
    command
}

/// All that it said.
#[must_use]
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Expects it to have ended well, or not; what it said.
///
/// # Panics
/// It ended the other way.
#[track_caller]
pub fn expect(output: &Output, success: bool) -> String {
    let text = said(output);
    assert_eq!(output.status.success(), success, "{text}");
    text
}
