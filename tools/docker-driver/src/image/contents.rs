//! What lies in an image as somebody brings it: in an archive (`docker save`, OCI), or in the directory of an OCI layout.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use measure_core::base::files::open_file;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::archive_error::ArchiveError;

/// What `docker load` reads first.
pub(super) const MANIFEST: &str = "manifest.json";
/// What an OCI layout begins with.
const INDEX: &str = "index.json";
/// Descriptions of images are small; a larger file is none.
const MAX_JSON_BYTES: u64 = 4 << 20;
/// So much of a layer is read at a time.
const HASHED_BYTES: usize = 1 << 20;
/// What containers run here.
const OWN: (&str, &str) = ("linux", "amd64");

/// An image as `docker load` wants it described.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ManifestEntry {
    /// The file that says what it runs, and for which machine.
    #[serde(rename = "Config")]
    pub(super) config: String,
    #[serde(rename = "Layers", default)]
    pub(super) layers: Vec<String>,
    #[serde(rename = "RepoTags", default)]
    tags: Option<Vec<String>>,
}

/// System and processor, in the words of images.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Machine {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Machine {
    /// Fails unless containers here run it.
    pub(super) fn require_own(&self, path: &Path) -> Result<(), ArchiveError> {
        if self.is_own() {
            return Ok(());
        }
        Err(ArchiveError::Machine {
            path: path.to_owned(),
            theirs: self.in_words(),
            ours: format!("{}/{}", OWN.0, OWN.1),
        })
    }

    fn is_own(&self) -> bool {
        (self.os.as_str(), self.architecture.as_str()) == OWN
    }

    fn in_words(&self) -> String {
        match (self.os.as_str(), self.architecture.as_str()) {
            ("", "") => "no machine that it names".to_owned(),
            (os, architecture) => format!("{os}/{architecture}"),
        }
    }
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

/// What lies in the image at a path.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// How it lies there.
#[derive(Debug)]
pub(super) enum Kind {
    /// In an archive.
    Tar(File, Places),
    /// As files below a directory.
    Directory,
}

impl Contents {
    /// Of the archive `file`, which was opened as `path`.
    pub(super) fn of_archive(path: &Path, file: File) -> Result<Self, ArchiveError> {
        let is_file = file
            .metadata()
            .map_err(|e| ArchiveError::io(path, e))?
            .is_file();
        if !is_file {
            return Err(no_image(path, "it is neither file nor directory".into()));
        }
        if let Some(packed_by) = packed_by(&file).map_err(|e| ArchiveError::io(path, e))? {
            let why = format!("it is packed by {packed_by}: unpack it first");
            return Err(no_image(path, why));
        }
        let places = places(&file).map_err(|e| no_image(path, format!("no tar archive ({e})")))?;
        Ok(Self {
            path: path.to_owned(),
            kind: Kind::Tar(file, places),
        })
    }

    /// Of the OCI layout in the directory `path`.
    pub(super) fn of_directory(path: &Path) -> Result<Self, ArchiveError> {
        let contents = Self {
            path: path.to_owned(),
            kind: Kind::Directory,
        };
        match contents.has(INDEX) {
            true => Ok(contents),
            false => Err(no_image(
                path,
                format!("it is a directory without {INDEX}, so no OCI layout"),
            )),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Tar(_, places) => places.contains_key(name),
            Kind::Directory => self.path.join(name).is_file(),
        }
    }

    /// The description `name`.
    pub(super) fn json(&self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let (file, offset, length) = self.place(name)?;
        if length > MAX_JSON_BYTES {
            let why = format!("{name} is {length} bytes long");
            return Err(no_image(&self.path, why));
        }
        read_at(&file, offset, length).map_err(|e| ArchiveError::io(&self.path, e))
    }

    /// The file in which `name` lies, where it begins there, and how long it is.
    fn place(&self, name: &str) -> Result<(File, u64, u64), ArchiveError> {
        let lacks = || no_image(&self.path, format!("it lacks {name}"));
        let io = |e| ArchiveError::io(&self.path, e);
        match &self.kind {
            Kind::Tar(file, places) => {
                let &(offset, length) = places.get(name).ok_or_else(lacks)?;
                Ok((file.try_clone().map_err(io)?, offset, length))
            }
            Kind::Directory => {
                let file = open_file(&self.path.join(name)).map_err(|e| match e.kind() {
                    io::ErrorKind::NotFound => lacks(),
                    _ => ArchiveError::io(&self.path.join(name), e),
                })?;
                let length = file.metadata().map_err(io)?.len();
                Ok((file, 0, length))
            }
        }
    }

    pub(super) fn parsed<T: DeserializeOwned>(&self, name: &str) -> Result<T, ArchiveError> {
        let json = self.json(name)?;
        serde_json::from_slice(&json).map_err(|e| no_image(&self.path, format!("{name}: {e}")))
    }

    /// The only image of an archive by `docker save`, or that of an OCI layout for this machine; and whether it is the latter.
    pub(super) fn image(&self) -> Result<(ManifestEntry, bool), ArchiveError> {
        if !self.has(MANIFEST) {
            if !self.has(INDEX) {
                let why = format!(
                    "it has neither {MANIFEST}, as `docker save` writes, nor {INDEX} of an OCI layout; a root directory (`docker export`) is none"
                );
                return Err(no_image(&self.path, why));
            }
            return Ok((self.oci_image()?, true));
        }
        let mut all: Vec<ManifestEntry> = self.parsed(MANIFEST)?;
        match (all.pop(), all.len()) {
            (Some(one), 0) => Ok((one, false)),
            (_, more) => {
                let why = format!("it holds {} images; save one alone", more + 1);
                Err(no_image(&self.path, why))
            }
        }
    }

    fn oci_image(&self) -> Result<ManifestEntry, ArchiveError> {
        let mut descriptor = self.ours(self.parsed(INDEX)?)?;
        // An index may name another, of one image for several machines.
        if descriptor.media_type.contains("index")
            || descriptor.media_type.contains("manifest.list")
        {
            descriptor = self.ours(self.parsed(&self.blob(&descriptor)?)?)?;
        }
        let manifest: OciManifest = self.parsed(&self.blob(&descriptor)?)?;
        let config = self.blob(&manifest.config)?;
        let digest = format!(
            "sha256:{}",
            hex::encode(Sha256::digest(self.json(&config)?))
        );
        if digest != manifest.config.digest {
            let why = format!("it is damaged: {config} has the digest {digest}");
            return Err(no_image(&self.path, why));
        }
        let layers = manifest.layers.iter().map(|layer| self.blob(layer));
        Ok(ManifestEntry {
            config,
            layers: layers.collect::<Result<_, _>>()?,
            tags: None,
        })
    }

    /// The one of `index` that is for this machine, or the only one.
    fn ours(&self, index: OciIndex) -> Result<Descriptor, ArchiveError> {
        let mut all = index.manifests;
        let own = |d: &Descriptor| d.platform.as_ref().is_some_and(Machine::is_own);
        let at = match all.len() {
            1 => Some(0),
            _ => all.iter().position(own),
        };
        let found = at.map(|at| all.swap_remove(at));
        found.ok_or_else(|| {
            let theirs = all.iter().filter_map(|d| d.platform.as_ref());
            let theirs: Vec<String> = theirs.map(Machine::in_words).collect();
            let (os, machine) = OWN;
            let why = match theirs.is_empty() {
                true => format!(
                    "it holds {} images, and none says its machine; keep one alone",
                    all.len()
                ),
                false => format!(
                    "none of its images is for {os}/{machine} (it has {})",
                    theirs.join(", ")
                ),
            };
            no_image(&self.path, why)
        })
    }

    /// That the file `name` is what its name says, where that is its digest.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub(super) fn check_digest(&self, name: &str) -> Result<(), ArchiveError> {
        let Some(said) = name.strip_prefix("blobs/sha256/") else {
            return Ok(());
        };
        let (file, offset, length) = self.place(name)?;
        let digest = digest_at(&file, offset, length);
        let digest = digest.map_err(|e| ArchiveError::io(&self.path, e))?;
        match digest == said {
            true => Ok(()),
            false => Err(no_image(
                &self.path,
                format!("it is damaged: {name} has the digest sha256:{digest}"),
            )),
        }
    }

    /// Where what is `described` lies.
    fn blob(&self, described: &Descriptor) -> Result<String, ArchiveError> {
        let digest = &described.digest;
        let is_word = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '_' | '-');
            !word.is_empty() && !word.starts_with('.') && word.chars().all(plain)
        };
        match digest.split_once(':') {
            Some((algorithm, hex)) if is_word(algorithm) && is_word(hex) => {
                Ok(format!("blobs/{algorithm}/{hex}"))
            }
            _ => Err(no_image(&self.path, format!("`{digest}` is no digest"))),
        }
    }
}

pub(super) fn no_image(path: &Path, why: String) -> ArchiveError {
    ArchiveError::NoImage {
        path: path.to_owned(),
        why,
    }
}

/// What has packed the file, if something has.
fn packed_by(file: &File) -> io::Result<Option<&'static str>> {
    const BEGINNINGS: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
    ];
    let begins = read_at(file, 0, 8)?;
    rewind(file)?;
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _)| begins.starts_with(beginning));
    Ok(known.map(|(_, by)| *by))
}

fn rewind(mut file: &File) -> io::Result<()> {
    file.seek(SeekFrom::Start(0)).map(drop)
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

/// SHA-256 of so much of `file`, in hexadecimal digits.
fn digest_at(mut file: &File, offset: u64, length: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    file.seek(SeekFrom::Start(offset))?;
    let mut file = BufReader::with_capacity(HASHED_BYTES, file.take(length));
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(bytes);
        let taken = bytes.len();
        file.consume(taken);
    }
}
