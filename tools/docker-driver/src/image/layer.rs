//! One layer of an image, made of files of the host.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure_core::base::trust;
use sha2::{Digest, Sha256};

use super::context::Tar;

/// Static libraries and object files: nothing that is run.
const LEFT_OUT: [&str; 2] = ["a", "o"];

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
pub(super) fn libraries(program: &Path) -> io::Result<Vec<PathBuf>> {
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
pub(super) struct Layer {
    dirs: BTreeSet<PathBuf>,
    /// Where it is in the image; of a file, where it is on the host.
    entries: Vec<(PathBuf, Option<(PathBuf, Metadata)>)>,
    /// The directory that anyone may write to.
    open_dir: Option<PathBuf>,
}

impl Layer {
    pub(super) fn dir(&mut self, path: &Path) {
        let path = path.strip_prefix("/").unwrap_or(path);
        if path.as_os_str().is_empty() || !self.dirs.insert(path.to_owned()) {
            return;
        }
        if let Some(parent) = path.parent() {
            self.dir(parent);
        }
        self.entries.push((path.to_owned(), None));
    }

    /// A directory that whoever runs there may write to.
    pub(super) fn open_dir(&mut self, path: &Path) {
        self.dir(path);
        self.open_dir = Some(path.strip_prefix("/").unwrap_or(path).to_owned());
    }

    pub(super) fn file(&mut self, inside: &Path, host: &Path) -> io::Result<()> {
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
    pub(super) fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}\n", self.open_dir));
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

    pub(super) fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = Tar::new();
        for (inside, host) in &self.entries {
            match host {
                None if self.open_dir.as_ref() == Some(inside) => tar.dir(inside, 0o1777)?,
                None => tar.dir(inside, 0o755)?,
                Some((path, data)) => {
                    let bytes = trust::read(path).map_err(io::Error::other)?;
                    tar.file(inside, data.mode() & 0o777, &bytes)?;
                }
            }
        }
        tar.finish()
    }

    pub(super) fn tree(&mut self, inside: &Path, host: &Path) -> io::Result<()> {
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
