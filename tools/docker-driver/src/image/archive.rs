//! Images that somebody brings as files: checked before they are kept, and loaded into an engine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use bollard::query_parameters::ImportImageOptionsBuilder;
use measure_core::base::files::open_file;
use measure_core::base::trust;
use measure_core::driver_kit::DriverError;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::archive_error::ArchiveError;
use super::build::check_steps;
use super::contents::{Contents, Kind, MANIFEST, Machine, ManifestEntry, no_image};
use super::context::Tar;
use crate::api::Client;

/// How much of an archive is sent at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// One image that could run here, in an archive or a directory.
#[derive(Debug)]
pub struct Archive {
    contents: Contents,
    entry: ManifestEntry,
    is_layout: bool,
    /// Id of the image, `sha256:...`, as an engine calls it.
    pub id: String,
    /// Whether it says what it runs.
    pub has_command: bool,
}

/// What an image says of itself, as far as it is looked at here.
#[derive(Debug, Deserialize)]
struct Described {
    #[serde(flatten)]
    machine: Machine,
    #[serde(rename = "config")]
    runs: Option<Runs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Runs {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

impl Runs {
    fn has_command(&self) -> bool {
        let words = self.entrypoint.iter().chain(&self.cmd).flatten();
        words.count() > 0
    }
}

impl Archive {
    /// The archive `path`, if only the trusted could have written it.
    ///
    /// # Errors
    /// It holds no single image for this machine, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, DriverError> {
        let file = trust::open(path)?.into_file();
        Ok(Self::read(Contents::of_archive(path, file)?)?)
    }

    /// The archive or OCI layout that a user names, whoever wrote it.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn examine(path: &Path) -> Result<Self, DriverError> {
        let contents = match path.is_dir() {
            true => Contents::of_directory(path)?,
            false => {
                let file = open_file(path).map_err(|e| ArchiveError::io(path, e))?;
                Contents::of_archive(path, file)?
            }
        };
        let archive = Self::read(contents)?;
        for layer in &archive.entry.layers {
            archive.contents.check_digest(layer)?;
        }
        Ok(archive)
    }

    fn read(contents: Contents) -> Result<Self, ArchiveError> {
        let (entry, is_layout) = contents.image()?;
        if let Some(layer) = entry.layers.iter().find(|layer| !contents.has(layer)) {
            let why = format!("it lacks its layer {layer}");
            return Err(no_image(&contents.path, why));
        }
        let described: Described = contents.parsed(&entry.config)?;
        described.machine.require_own(&contents.path)?;
        let config = Sha256::digest(contents.json(&entry.config)?);
        Ok(Self {
            id: format!("sha256:{}", hex::encode(config)),
            has_command: described.runs.is_some_and(|runs| runs.has_command()),
            contents,
            entry,
            is_layout,
        })
    }

    /// Copies it to the archive `to`, in the form that engines of any version load.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn copy_to(&self, to: &Path) -> Result<(), DriverError> {
        let copied = File::create(to).and_then(|out| match &self.contents.kind {
            Kind::Tar(file, _) => self.copy_archive(file, out),
            Kind::Directory => self.pack(out),
        });
        let from = self.contents.path.display();
        copied.map_err(|e| DriverError::failed(format!("{from} to {}", to.display()), e))
    }

    /// The description that an engine of any version reads.
    fn manifest(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&[&self.entry])?)
    }

    fn copy_archive(&self, mut from: &File, mut out: File) -> io::Result<()> {
        from.seek(SeekFrom::Start(0))?;
        if self.is_layout {
            // What ends an archive would hide what comes after it: the manifest goes first.
            let mut first = Tar::new();
            first.file(MANIFEST, 0o644, &self.manifest()?)?;
            out.write_all(without_end(&first.finish()?))?;
        }
        io::copy(&mut from, &mut out)?;
        out.sync_all()
    }

    /// Writes an archive of the image in a directory, and nothing else that lies there.
    fn pack(&self, out: File) -> io::Result<()> {
        let mut tar = tar::Builder::new(out);
        let manifest = self.manifest()?;
        let mut header = Tar::header(tar::EntryType::Regular, 0o644, manifest.len() as u64);
        tar.append_data(&mut header, MANIFEST, manifest.as_slice())?;
        for name in self.entry.layers.iter().chain([&self.entry.config]) {
            let file = open_file(&self.contents.path.join(name))?;
            let mut header = Tar::header(tar::EntryType::Regular, 0o644, file.metadata()?.len());
            tar.append_data(&mut header, name, file)?;
        }
        tar.into_inner()?.sync_all()
    }
}

/// A tar archive without the two blocks of zeros, and what follows them, that end it.
fn without_end(tar: &[u8]) -> &[u8] {
    const BLOCK_BYTES: usize = 512;
    let blocks = tar.chunks(BLOCK_BYTES);
    let zeros = blocks
        .rev()
        .take_while(|block| block.iter().all(|&byte| byte == 0))
        .map(<[u8]>::len);
    let zeros: usize = zeros.sum();
    &tar[..tar.len() - zeros]
}

/// Loads `archive` into the engine unless it has the image; its id.
///
/// # Errors
/// The engine refuses it.
pub fn provide(client: &Client, archive: &Archive) -> Result<String, DriverError> {
    let there = || {
        let inspect = client.api.docker.inspect_image(&archive.id);
        client.call("inspect image", inspect).is_ok()
    };
    if there() {
        return Ok(archive.id.clone());
    }
    let path = archive.contents.path.display();
    let Kind::Tar(file, _) = &archive.contents.kind else {
        return Err(DriverError::Failed(format!("{path} is no archive")));
    };
    let failed = |e: io::Error| DriverError::failed(&path, e);
    let mut file = file.try_clone().map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let chunks = std::iter::from_fn(move || {
        let mut chunk = vec![0; CHUNK_BYTES];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(n) => {
                chunk.truncate(n);
                Some(Ok(chunk.into()))
            }
            Err(error) => Some(Err(error)),
        }
    });
    let body = bollard::body_try_stream(futures_util::stream::iter(chunks));
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let steps = client.api.docker.import_image(options, body, None);
    let loaded = client.run(client.api.call("load image", check_steps(steps)));
    loaded.map_err(|e| DriverError::failed(format!("cannot load {path}"), e))?;
    match there() {
        true => Ok(archive.id.clone()),
        false => Err(DriverError::Failed(format!(
            "{path} was loaded, and the image {} is not there",
            archive.id
        ))),
    }
}
