//! The native side of a function as runtimes are told of it: one executable, or a loader that was brought with a program and its
//! libraries; on the host, or within a root directory.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::trust::{self, Trusted};
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::native_command::NativeCommand;
use measure_core::driver_kit::stored_function::{StoredFunction, lacks_side};

use super::bundle::{make_root, path_in_root};
use crate::store::Store;

/// What stands for a function's directory in its command.
const OWN: &str = "{function}/";
/// What of that directory a brought program runs from.
const DYNAMIC: &str = "dynamic";

/// A function's native side.
#[derive(Debug)]
pub(super) struct NativeSide {
    /// What is executed.
    pub(super) executable: Trusted,
    /// What follows it on the host, before the function's own arguments.
    pub(super) words_on_host: Vec<String>,
    /// The executable within a root directory.
    pub(super) path_inside: String,
    /// What follows that.
    pub(super) words_inside: Vec<String>,
    function: FunctionId,
    /// Where a program lies with its libraries.
    dynamic: Option<PathBuf>,
}

impl NativeSide {
    /// That of `function`.
    pub(super) fn find(store: &Store, function: &FunctionId) -> Result<Self, DriverError> {
        let dir = store.dir_of(function);
        let Some(command) = NativeCommand::read(&dir)? else {
            return Ok(Self {
                executable: store.executable(function)?,
                words_on_host: Vec::new(),
                path_inside: path_in_root(function),
                words_inside: Vec::new(),
                function: function.clone(),
                dynamic: None,
            });
        };
        if !command.begins_with(OWN) {
            return Err(lacks_side(function, "executable of its own"));
        }
        let place = dir.to_string_lossy();
        command.require_trust(&home::root().to_string_lossy(), &place)?;
        let mut on_host = command.at("", &place);
        let mut inside = command.at("", &path_in_root(function));
        let executable = trust::open(Path::new(&on_host.remove(0)))?;
        Ok(Self {
            executable,
            words_on_host: on_host,
            path_inside: inside.remove(0),
            words_inside: inside,
            function: function.clone(),
            dynamic: Some(dir.join(DYNAMIC)),
        })
    }

    /// Makes the root directory `root` with it in it, and with what `stored` is given.
    pub(super) fn put_into(&self, root: &Path, stored: Option<&StoredFunction>) -> io::Result<()> {
        let executable = match self.dynamic {
            None => Some(&self.executable),
            Some(_) => None,
        };
        make_root(root, &self.function, executable)?;
        if let Some(dynamic) = &self.dynamic {
            let at = inside(root, &path_in_root(&self.function));
            copy_tree(dynamic, &at.join(DYNAMIC))?;
        }
        put_given(root, stored)
    }
}

/// Makes the root directory `root` with the Wasm `module` in it, at `path`, and with what `stored` is given.
pub(super) fn put_wasm_into(
    root: &Path,
    function: &FunctionId,
    (module, path): (&Path, &str),
    stored: Option<&StoredFunction>,
) -> io::Result<()> {
    make_root(root, function, None)?;
    let to = inside(root, path);
    fs::create_dir_all(to.parent().unwrap_or(root))?;
    copy_file(module, &to)?;
    put_given(root, stored)
}

/// Where `at` of the root directory `root` is.
fn inside(root: &Path, at: &str) -> PathBuf {
    root.join(at.trim_start_matches('/'))
}

/// What `stored` is given, in the root directory `root`.
fn put_given(root: &Path, stored: Option<&StoredFunction>) -> io::Result<()> {
    let Some(stored) = stored else { return Ok(()) };
    if let Some(files) = stored.files_dir() {
        copy_tree(&files, &inside(root, &stored.file.files_at))?;
    }
    if let Some(at) = &stored.file.output_at {
        let at = inside(root, at);
        fs::create_dir_all(&at)?;
        fs::set_permissions(at, fs::Permissions::from_mode(0o777))?;
    }
    Ok(())
}

/// Copies files and directories, which only the trusted could have written; nothing else lies in a store.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if kind.is_file() {
            copy_file(&from, &to)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let trusted = trust::open(from).map_err(io::Error::other)?;
    let mode = trusted.file().metadata()?.permissions().mode();
    io::copy(&mut trusted.file(), &mut fs::File::create(to)?)?;
    // Root of a user namespace is anyone outside.
    fs::set_permissions(to, fs::Permissions::from_mode(mode | 0o444))
}
