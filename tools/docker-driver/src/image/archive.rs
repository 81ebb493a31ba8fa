//! Archives of images, as `docker save` or an OCI tool writes them: what is in one, checked before it is kept, and loading it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::TryStreamExt;
use measure_core::base::trust;
use measure_core::driver_kit::DriverError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::build::check_steps;
use super::context::Tar;
use crate::api::Client;

/// What `docker load` reads first.
const MANIFEST: &str = "manifest.json";
/// What an OCI layout begins with.
const INDEX: &str = "index.json";
/// Descriptions of images are small; a larger file is none.
const MAX_JSON_BYTES: u64 = 4 << 20;
/// What containers run here.
const OWN: (&str, &str) = ("linux", "amd64");
/// How much of an archive is sent at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Why a file is no image that could run here.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not a tar archive, or cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// It holds no image.
    #[error("{} is no image: {why}", path.display())]
    NoImage {
        /// The archive.
        path: PathBuf,
        /// What it lacks.
        why: String,
    },
    /// It is for another machine.
    #[error("{} is an image for {theirs}, containers here run {ours}", path.display())]
    Machine {
        /// The archive.
        path: PathBuf,
        /// System and machine.
        theirs: String,
        /// The same of this host.
        ours: String,
    },
}

impl From<ArchiveError> for DriverError {
    fn from(error: ArchiveError) -> Self {
        match error {
            error @ ArchiveError::Io { .. } => Self::library(error),
            refused => Self::Usage(refused.to_string()),
        }
    }
}

/// An archive of one image that could run here.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: File,
    /// Id of the image, `sha256:...`, as an engine calls it.
    pub id: String,
    /// What has to be added so that `docker load` of any version takes it.
    added_manifest: Option<Vec<u8>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ManifestEntry {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Machine>,
    #[serde(default, rename = "mediaType")]
    media_type: String,
}

#[derive(Debug, Deserialize)]
struct OciIndex {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct OciManifest {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// Where the files of an archive lie in it: offset and length, by name.
type Places = BTreeMap<String, (u64, u64)>;

impl Archive {
    /// The archive `path`, if only the trusted could have written it.
    ///
    /// # Errors
    /// It holds no single image for this machine, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, DriverError> {
        let file = trust::open(path)?.into_file();
        Ok(Self::read(path, file)?)
    }

    /// The archive that a user names, whoever wrote it.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn examine(path: &Path) -> Result<Self, DriverError> {
        let io = |source| ArchiveError::Io {
            path: path.to_owned(),
            source,
        };
        Ok(Self::read(path, File::open(path).map_err(io)?)?)
    }

    fn read(path: &Path, file: File) -> Result<Self, ArchiveError> {
        let io = |source| ArchiveError::Io {
            path: path.to_owned(),
            source,
        };
        if !file.metadata().map_err(io)?.is_file() {
            return Err(no_image(path, "it is not a regular file".into()));
        }
        let places = places(&file).map_err(|e| no_image(path, format!("no tar archive ({e})")))?;
        let contents = Contents {
            path,
            file: &file,
            places,
        };
        let (entry, added_manifest) = if contents.places.contains_key(MANIFEST) {
            let mut all: Vec<ManifestEntry> = contents.parsed(MANIFEST)?;
            if all.len() != 1 {
                let why = format!("it holds {} images; save one alone", all.len());
                return Err(no_image(path, why));
            }
            (all.remove(0), None)
        } else {
            let entry = contents.oci_image()?;
            let text = serde_json::to_vec(&[&entry]).map_err(|e| io(e.into()))?;
            (entry, Some(text))
        };
        let is_lacking = |layer: &&String| !contents.places.contains_key(*layer);
        if let Some(layer) = entry.layers.iter().find(is_lacking) {
            return Err(no_image(path, format!("it lacks its layer {layer}")));
        }
        let config = contents.json(&entry.config)?;
        require_own(path, &contents.parse(&entry.config, &config)?)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            id: format!("sha256:{}", hex::encode(Sha256::digest(&config))),
            added_manifest,
        })
    }

    /// Copies it to `to`, in the form that engines of any version load.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn copy_to(&self, to: &Path) -> Result<(), DriverError> {
        let copy = || -> io::Result<()> {
            let (mut from, mut out) = (&self.file, File::create(to)?);
            from.seek(SeekFrom::Start(0))?;
            let Some(manifest) = &self.added_manifest else {
                io::copy(&mut from, &mut out)?;
                return out.sync_all();
            };
            // What ends an archive would hide what comes after it: the manifest goes first.
            let mut first = Tar::new();
            first.file(MANIFEST, 0o644, manifest)?;
            let first = first.finish()?;
            out.write_all(without_end(&first))?;
            io::copy(&mut from, &mut out)?;
            out.sync_all()
        };
        let failed =
            |e| DriverError::failed(format!("{} to {}", self.path.display(), to.display()), e);
        copy().map_err(failed)
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

fn no_image(path: &Path, why: String) -> ArchiveError {
    ArchiveError::NoImage {
        path: path.to_owned(),
        why,
    }
}

/// What lies in the archive `path`.
struct Contents<'a> {
    path: &'a Path,
    file: &'a File,
    places: Places,
}

impl Contents<'_> {
    fn json(&self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let no_image = |why| no_image(self.path, why);
        let place = self.places.get(name);
        let &(offset, length) = place.ok_or_else(|| no_image(format!("it lacks {name}")))?;
        if length > MAX_JSON_BYTES {
            return Err(no_image(format!("{name} is {length} bytes long")));
        }
        read_at(self.file, offset, length).map_err(|source| ArchiveError::Io {
            path: self.path.to_owned(),
            source,
        })
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, json: &[u8]) -> Result<T, ArchiveError> {
        serde_json::from_slice(json).map_err(|e| no_image(self.path, format!("{name}: {e}")))
    }

    fn parsed<T: DeserializeOwned>(&self, name: &str) -> Result<T, ArchiveError> {
        self.parse(name, &self.json(name)?)
    }

    /// The image of an OCI layout for this machine, as `docker load` wants it described.
    fn oci_image(&self) -> Result<ManifestEntry, ArchiveError> {
        let mut descriptor = self.ours(self.parsed(INDEX)?)?;
        // An index may name another, of one image for several machines.
        if descriptor.media_type.contains("index")
            || descriptor.media_type.contains("manifest.list")
        {
            descriptor = self.ours(self.parsed(&blob(&descriptor))?)?;
        }
        let manifest: OciManifest = self.parsed(&blob(&descriptor))?;
        Ok(ManifestEntry {
            config: blob(&manifest.config),
            layers: manifest.layers.iter().map(blob).collect(),
            tags: None,
        })
    }

    /// The one of `index` that is for this machine, or the only one.
    fn ours(&self, index: OciIndex) -> Result<Descriptor, ArchiveError> {
        let mut all = index.manifests;
        let own = |d: &Descriptor| {
            let platform = d.platform.as_ref();
            platform.is_some_and(|m| (m.os.as_str(), m.architecture.as_str()) == OWN)
        };
        let at = match all.len() {
            1 => Some(0),
            _ => all.iter().position(own),
        };
        let found = at.map(|at| all.swap_remove(at));
        found.ok_or_else(|| {
            let why = format!("none of its images is for {}/{}", OWN.0, OWN.1);
            no_image(self.path, why)
        })
    }
}

fn blob(descriptor: &Descriptor) -> String {
    format!("blobs/{}", descriptor.digest.replace(':', "/"))
}

fn require_own(path: &Path, machine: &Machine) -> Result<(), ArchiveError> {
    if (machine.os.as_str(), machine.architecture.as_str()) == OWN {
        return Ok(());
    }
    Err(ArchiveError::Machine {
        path: path.to_owned(),
        theirs: format!("{}/{}", machine.os, machine.architecture),
        ours: format!("{}/{}", OWN.0, OWN.1),
    })
}

/// Where the files of the archive lie. Nothing of their content is read.
fn places(file: &File) -> io::Result<Places> {
    let mut archive = tar::Archive::new(file);
    let mut places = Places::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        let name = name.trim_start_matches("./").to_owned();
        places.insert(name, (entry.raw_file_position(), entry.size()));
    }
    match places.is_empty() {
        true => Err(io::Error::other("it is empty")),
        false => Ok(places),
    }
}

fn read_at(mut file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
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
    let failed = |e: io::Error| DriverError::failed(archive.path.display(), e);
    let mut file = archive.file.try_clone().map_err(failed)?;
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
    loaded
        .map_err(|e| DriverError::failed(format!("cannot load {}", archive.path.display()), e))?;
    match there() {
        true => Ok(archive.id.clone()),
        false => Err(DriverError::Failed(format!(
            "{} was loaded, and the image {} is not there",
            archive.path.display(),
            archive.id
        ))),
    }
}

/// Saves the image that the engine of `client` calls `reference` to `to`.
///
/// # Errors
/// It has none of this name, or the file cannot be written.
pub fn save(client: &Client, reference: &str, to: &Path) -> Result<(), DriverError> {
    let inspect = client.api.docker.inspect_image(reference);
    if let Err(error) = client.call("inspect image", inspect) {
        return Err(match error.is_not_found() {
            true => DriverError::Usage(format!(
                "the engine has no image `{reference}`: pull or load it there, or give an archive that `docker save` wrote"
            )),
            false => DriverError::EngineLost(error.to_string()),
        });
    }
    let failed = |e: io::Error| DriverError::failed(to.display(), e);
    let mut file = File::create(to).map_err(failed)?;
    let mut written = Ok(());
    let stream = client.api.docker.export_image(reference);
    let saved = client.call("save image", async {
        tokio::pin!(stream);
        while let Some(bytes) = stream.try_next().await? {
            written = file.write_all(&bytes);
            if written.is_err() {
                break;
            }
        }
        Ok(())
    });
    written.map_err(failed)?;
    saved.map_err(|e| DriverError::failed(format!("cannot save {reference}"), e))
}
