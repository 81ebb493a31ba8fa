//! The image of a function that is a script: its interpreter from the same native build that runs it in a
//! process, the libraries that this one needs, its standard library and the function's files. One layer
//! without a base, made here and imported, as [`super::extra`] does.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::trust;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::native_command::NativeCommand;
use sha2::{Digest, Sha256};

use super::build::provide_layer;
use super::context::{Tar, path_in_image};
use crate::api::Client;

const REPOSITORY: &str = "faasm/script";
/// Static libraries and object files: nothing that is run.
const LEFT_OUT: [&str; 2] = ["a", "o"];

/// A function that is a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// What the container runs.
    pub command: Vec<String>,
    function: FunctionId,
    /// The interpreter on the host.
    program: PathBuf,
}

impl Script {
    /// The function `id`, if it is a script.
    ///
    /// # Errors
    /// Its command cannot be read, or names an interpreter that is not below the home directory's.
    pub fn from_function(id: &FunctionId) -> Result<Option<Self>, DriverError> {
        let dir = home::store().join(id.user()).join(id.function());
        let Some(command) = NativeCommand::read(&dir)? else {
            return Ok(None);
        };
        let home = home::root();
        let (home_text, dir_text) = (home.to_string_lossy(), dir.to_string_lossy());
        command.require_trust(&home_text, &dir_text)?;
        let on_host = command.at(&home_text, &dir_text);
        let program = PathBuf::from(&on_host[0]);
        if !program.starts_with(&home) || !program.is_file() {
            return Err(DriverError::Failed(format!(
                "{id} runs {}, which is no file below {}: run `make python python-functions`",
                program.display(),
                home.display()
            )));
        }
        Ok(Some(Self {
            command: command.at("", &path_in_image(&id.to_string())),
            function: id.clone(),
            program,
        }))
    }

    /// Has the engine make its image, unless it has it; returns its id.
    ///
    /// # Errors
    /// A file cannot be read, or the engine refuses.
    pub fn provide(&self, client: &Client) -> Result<String, DriverError> {
        let layer = self.layer().map_err(|e| {
            DriverError::failed(format!("cannot make the image of {}", self.function), e)
        })?;
        provide_layer(client, REPOSITORY, &layer.key(), || layer.tar())
    }

    fn layer(&self) -> io::Result<Layer> {
        let mut layer = Layer::default();
        for dir in ["dev", "etc", "proc", "sys", "tmp"] {
            layer.dir(Path::new(dir));
        }
        layer.file(Path::new(&self.command[0]), &self.program)?;
        for library in libraries(&self.program)? {
            layer.file(&library, &library)?;
        }
        // The interpreter finds its library beside itself: bin/PROGRAM, lib/.
        if let Some(root) = self.program.parent().and_then(Path::parent) {
            let inside = Path::new(&self.command[0]);
            let inside = inside.parent().and_then(Path::parent);
            let inside = inside.unwrap_or(Path::new("/"));
            layer.tree(&inside.join("lib"), &root.join("lib"))?;
        }
        let id = self.function.to_string();
        let files = home::store().join(&id).join("files");
        layer.tree(&Path::new(&path_in_image(&id)).join("files"), &files)?;
        Ok(layer)
    }
}

/// What went wrong with a file of the host.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct FileError {
    path: PathBuf,
    source: io::Error,
}

fn of_file(path: &Path, source: io::Error) -> io::Error {
    let path = path.to_owned();
    io::Error::new(source.kind(), FileError { path, source })
}

/// Shared libraries that `program` is loaded with, and the loader, as the host's own loader says.
fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `name => /path (address)`, `/path (address)`; the kernel's own has no path.
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

/// What a layer is made of: each directory once, before what lies in it, and files of the host.
#[derive(Default)]
struct Layer {
    dirs: BTreeSet<PathBuf>,
    /// Where it is in the image; of a file, where it is on the host.
    entries: Vec<(PathBuf, Option<(PathBuf, Metadata)>)>,
}

impl Layer {
    fn dir(&mut self, path: &Path) {
        let path = path.strip_prefix("/").unwrap_or(path);
        if path.as_os_str().is_empty() || !self.dirs.insert(path.to_owned()) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.dir(parent);
        }
        self.entries.push((path.to_owned(), None));
    }

    fn file(&mut self, inside: &Path, host: &Path) -> io::Result<()> {
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        if let Some(parent) = inside.parent() {
            self.dir(parent);
        }
        let data = fs::metadata(host).map_err(|source| of_file(host, source))?;
        let host = Some((host.to_owned(), data));
        self.entries.push((inside.to_owned(), host));
        Ok(())
    }

    /// Digest of what is in it, by path and by what changes with a file's content: to read all of an interpreter's
    /// library takes longer than to start an engine.
    fn key(&self) -> String {
        let mut hash = Sha256::new();
        for (inside, host) in &self.entries {
            let stamps = host.as_ref().map(|(path, data)| {
                let times = [
                    data.mtime(),
                    data.mtime_nsec(),
                    data.ctime(),
                    data.ctime_nsec(),
                ];
                (path, data.ino(), data.len(), data.mode(), times)
            });
            hash.update(format!("{inside:?} {stamps:?}\n"));
        }
        hex::encode(&hash.finalize()[..6])
    }

    fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = Tar::new();
        for (inside, host) in &self.entries {
            let name = inside.to_string_lossy();
            match host {
                None => tar.dir(&name, 0o755)?,
                Some((path, data)) => {
                    let bytes = trust::read(path).map_err(io::Error::other)?;
                    tar.file(&name, data.mode() & 0o777, &bytes)?;
                }
            }
        }
        tar.finish()
    }

    fn tree(&mut self, inside: &Path, host: &Path) -> io::Result<()> {
        self.dir(inside);
        let mut entries = fs::read_dir(host)
            .map_err(|source| of_file(host, source))?
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (inside, host) = (inside.join(entry.file_name()), entry.path());
            let left_out = host
                .extension()
                .is_some_and(|end| LEFT_OUT.iter().any(|out| end == *out));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.tree(&inside, &host)?;
            } else if kind.is_file() && !left_out {
                self.file(&inside, &host)?;
            }
        }
        Ok(())
    }
}
