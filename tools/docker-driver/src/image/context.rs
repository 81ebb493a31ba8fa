//! What goes into the image: the Dockerfile and the native functions of the store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::trust::{self, TrustError};
use measure_core::contract::function::FILE;
use measure_core::driver_kit::DriverError;
use object::Endianness;
use object::elf::{FileHeader64, PT_INTERP, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use sha2::{Digest, Sha256};

/// What is built.
pub const DOCKERFILE: &str = include_str!("../../../../docker/Dockerfile");
/// The user whose native functions are put into the image.
pub const USER: &str = "demo";
/// Functions without which the rungs have nothing to run.
const NEEDED: [&str; 2] = ["noop", "park"];

/// A native function: its name without the user, and the executable.
#[derive(Debug, Clone)]
struct Native {
    name: String,
    bytes: Vec<u8>,
}

/// The image's content, before a base is chosen.
#[derive(Debug, Clone)]
pub struct Context {
    /// By name.
    natives: Vec<Native>,
    /// Digest of all of it.
    pub key: String,
}

/// Why no image can be made of the store's functions.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// One that the rungs run is not there.
    #[error("no native build of {USER}/{function} in the store ({})", path.display())]
    Missing {
        /// Its name without the user.
        function: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// One that would not run on every base.
    #[error("{} is no static 64-bit ELF executable, which is all that runs on any base", .0.display())]
    NotStatic(PathBuf),
    /// One that others could have written, or that cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// What makes good functions.
pub const MEND: &str = "run `make build-noop`";

impl From<ContextError> for DriverError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::Trust(error) => error.into(),
            other => Self::Failed(format!("{other}: {MEND}")),
        }
    }
}

impl Context {
    /// Reads the native functions of the store.
    ///
    /// # Errors
    /// One that is needed is missing, is no static executable, or cannot be read.
    pub fn read() -> Result<Self, ContextError> {
        Self::read_from(&home::store())
    }

    fn read_from(store: &Path) -> Result<Self, ContextError> {
        let dir = store.join(USER);
        let mut natives = Vec::new();
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            // What somebody brought has an image of its own.
            if entry.path().join(FILE).is_file() {
                continue;
            }
            let path = entry.path().join("native");
            let name = entry.file_name().to_string_lossy().into();
            match trust::read(&path) {
                Ok(bytes) if is_static_elf(&bytes) => natives.push(Native { name, bytes }),
                Ok(_) => return Err(ContextError::NotStatic(path)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        for function in NEEDED {
            if !natives.iter().any(|native| native.name == function) {
                let path = dir.join(function).join("native");
                return Err(ContextError::Missing { function, path });
            }
        }
        natives.sort_by(|a, b| a.name.cmp(&b.name));
        let key = digest_of_functions(&natives);
        Ok(Self { natives, key })
    }

    /// The build context as a tar archive: `Dockerfile` and `function/demo/NAME`.
    ///
    /// # Errors
    /// Out of memory is the only way this fails.
    pub fn tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = Tar::new();
        tar.file("Dockerfile", 0o644, DOCKERFILE.as_bytes())?;
        self.add_functions(&mut tar)?;
        tar.finish()
    }

    /// Adds `function/demo/NAME` to `tar`.
    ///
    /// # Errors
    /// A name is too long.
    pub fn add_functions(&self, tar: &mut Tar) -> io::Result<()> {
        tar.dir("function", 0o755)?;
        tar.dir(format!("function/{USER}"), 0o755)?;
        self.natives.iter().try_for_each(|native| {
            let name = format!("function/{USER}/{}", native.name);
            tar.file(&name, 0o755, &native.bytes)
        })
    }

    /// Ids of the functions.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        self.natives
            .iter()
            .map(|native| format!("{USER}/{}", native.name))
            .collect()
    }
}

/// Where a function is in the image.
#[must_use]
pub fn path_in_image(function: &str) -> String {
    format!("/function/{function}")
}

/// Whether `bytes` is a 64-bit little-endian ELF file without an interpreter.
#[must_use]
pub fn is_static_elf(bytes: &[u8]) -> bool {
    let header = FileHeader64::<Endianness>::parse(bytes);
    let segments = header.and_then(|header| {
        let endian = header.endian()?;
        Ok((endian, header.program_headers(endian, bytes)?))
    });
    segments.is_ok_and(|(endian, segments)| {
        let interpreted = |segment: &ProgramHeader64<_>| segment.p_type(endian) == PT_INTERP;
        endian == Endianness::Little && !segments.iter().any(interpreted)
    })
}

fn digest_of_functions(natives: &[Native]) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(DOCKERFILE.as_bytes());
    for native in natives {
        add(native.name.as_bytes());
        add(&native.bytes);
    }
    hex::encode(hash.finalize())
}

/// A tar archive that depends on nothing but its content: no times, no owners.
pub struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    /// An empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// The header of an entry, the same whenever and by whomever it is made.
    #[must_use]
    pub fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// Adds a file.
    ///
    /// # Errors
    /// The name is too long.
    pub fn file(&mut self, name: impl AsRef<Path>, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let mut header = Self::header(tar::EntryType::Regular, mode, bytes.len() as u64);
        self.0.append_data(&mut header, name, bytes)
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// The name is too long.
    pub fn dir(&mut self, name: impl AsRef<Path>, mode: u32) -> io::Result<()> {
        let mut header = Self::header(tar::EntryType::Directory, mode, 0);
        self.0
            .append_data(&mut header, name.as_ref().join(""), io::empty())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// A name is too long.
    pub fn link(&mut self, name: &str, target: &str) -> io::Result<()> {
        let mut header = Self::header(tar::EntryType::Symlink, 0o777, 0);
        self.0.append_link(&mut header, name, target)
    }

    /// The archive's bytes.
    ///
    /// # Errors
    /// Out of memory is the only way this fails.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()
    }
}

impl Default for Tar {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The smallest header that counts as static, with `extra` program headers of the given types.
    fn elf(types: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&u16::try_from(types.len()).unwrap().to_le_bytes());
        for kind in types {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&header);
        }
        bytes
    }

    #[test]
    fn only_static_executables_pass() {
        assert!(is_static_elf(&elf(&[1, 2])));
        assert!(!is_static_elf(&elf(&[1, 3])), "has an interpreter");
        assert!(!is_static_elf(b"#!/bin/sh\n"));
        assert!(!is_static_elf(&elf(&[1])[..70]), "cut short");
        assert!(!is_static_elf(&[]));
    }

    #[test]
    fn the_key_follows_the_content_and_a_missing_function_is_named() {
        let store = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let dir = store.path().join(USER).join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("native"), bytes).unwrap();
        };
        let error = || {
            let error = Context::read_from(store.path()).unwrap_err();
            DriverError::from(error).to_string()
        };
        put("noop", &elf(&[1]));
        let missing = error();
        assert!(
            missing.contains("demo/park") && missing.contains("make build-noop"),
            "{missing}"
        );
        put("park", &elf(&[1, 1]));
        let first = Context::read_from(store.path()).unwrap();
        assert_eq!(first.functions(), ["demo/noop", "demo/park"]);
        assert_eq!(first.key, Context::read_from(store.path()).unwrap().key);
        assert_eq!(first.tar().unwrap(), first.tar().unwrap());
        put("park", &elf(&[2, 1]));
        assert_ne!(first.key, Context::read_from(store.path()).unwrap().key);
        let park = store.path().join(USER).join("park/native");
        for path in [&park, &store.path().join(USER)] {
            let before = fs::metadata(path).unwrap().permissions();
            let open = fs::Permissions::from_mode(before.mode() | 0o022);
            fs::set_permissions(path, open).unwrap();
            let refused = error();
            let fix = format!("chmod go-w {}", path.display());
            assert!(
                refused.starts_with("refusing to run code from") && refused.ends_with(&fix),
                "{refused}"
            );
            fs::set_permissions(path, before).unwrap();
        }
        put("park", b"#!/bin/sh\n");
        assert!(error().contains("no static"), "{}", error());
    }
}
