//! Where built functions, images and the state of engines lie.

use std::env;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::base::label::LABEL;

/// Environment variable that overrides [`root`].
pub const HOME_VARIABLE: &str = "FAASM_BENCH_HOME";

/// The directory of everything that was built to be run: `$FAASM_BENCH_HOME`, else
/// `PREFIX/share/faasm-bench` beside an installed `PREFIX/bin/<tool>`, else `build/` of the checkout
/// whose `target/release/<tool>` runs, else `./build`.
#[must_use]
pub fn root() -> PathBuf {
    env::var_os(HOME_VARIABLE)
        .map(PathBuf::from)
        .or_else(|| env::current_exe().ok().and_then(|exe| beside(&exe)))
        .unwrap_or_else(|| PathBuf::from("build"))
}

fn beside(exe: &Path) -> Option<PathBuf> {
    let installed = exe.parent()?.parent()?.join("share").join(LABEL);
    if installed.is_dir() {
        return Some(installed);
    }
    exe.ancestors()
        .find(|dir| dir.file_name().is_some_and(|name| name == "target"))
        .and_then(Path::parent)
        .filter(|top| top.join("crates/measure-core").is_dir())
        .map(|top| top.join("build"))
}

/// The function store: `<store>/<user>/<function>/function.wasm` beside its compiled code and, where
/// the function also runs natively, `native` (a static executable of the same source).
#[must_use]
pub fn store() -> PathBuf {
    root().join("store")
}

/// Container images as `docker save` writes them: `<images>/<name>.tar`.
#[must_use]
pub fn images() -> PathBuf {
    root().join("image")
}

/// The user's own file of what a tool knows by a shipped one: that which the environment variable `variable` names, else
/// `~/.config/faasm-bench/<name>` where that exists.
#[must_use]
pub fn users_file(variable: &str, name: &str) -> Option<PathBuf> {
    let given = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(named) = given(variable) {
        return Some(named.into());
    }
    let config = given("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(config.join(LABEL).join(name)).filter(|path| path.is_file())
}

/// State that outlives a run, such as an engine's data root.
#[must_use]
pub fn state() -> PathBuf {
    if geteuid().is_root() {
        return Path::new("/var/lib").join(LABEL);
    }
    env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))
        .unwrap_or_else(env::temp_dir)
        .join(LABEL)
}

/// State that a reboot clears: sockets, locks, mounted namespaces.
#[must_use]
pub fn runtime() -> PathBuf {
    if geteuid().is_root() {
        return Path::new("/run").join(LABEL);
    }
    match env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) => PathBuf::from(dir).join(LABEL),
        // Each user's own, as others' files there could not be written.
        None => env::temp_dir().join(format!("{LABEL}-{}", geteuid())),
    }
}
