//! Files that are replaced as a whole, and their hashes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::base::trust;

/// A new file beside `path` that becomes `path` by [`NamedTempFile::persist`], and goes away if it does not. Its
/// permissions are those that the umask gives to any new file.
///
/// # Errors
/// The directory is not there or refuses new files.
pub fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".tmp")
        .make_in(directory_of(path), |path| {
            OpenOptions::new().write(true).create_new(true).open(path)
        })
}

/// Opens `path` to be read, without waiting for a pipe's writer.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Opens the file at `path`; what is none, such as a pipe to which nobody may ever write, is refused at once.
///
/// # Errors
/// It is not there, not readable, or no file ([`io::ErrorKind::InvalidInput`]).
pub fn open_file(path: &Path) -> io::Result<File> {
    let file = open_at_once(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")),
    }
}

/// All of the file at `path`, as [`open_file`] opens it.
///
/// # Errors
/// As [`open_file`].
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text that a user names: a file, or a pipe that somebody writes to, as `<(command)` of a shell is. One without a writer is
/// refused at once, where opening it would wait for ever.
///
/// # Errors
/// It cannot be read, is a directory, or holds nothing because nobody writes to it ([`io::ErrorKind::InvalidInput`]); it is no UTF-8
/// ([`io::ErrorKind::InvalidData`]).
pub fn read_given(path: &Path) -> io::Result<String> {
    let mut file = open_at_once(path)?;
    let is_pipe = file.metadata()?.file_type().is_fifo();
    // A writer may take its time.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if is_pipe && text.is_empty() {
        let why = "it is a pipe that nobody writes to";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(text)
}

/// The directory that `path` lies in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Writes `path` whole, through a temporary file beside it and a rename: a reader sees the old one or the new one.
///
/// # Errors
/// It cannot be written; the old file is then still there.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = beside(path)?;
    new.as_file().write_all(content)?;
    new.persist(path).map_err(|error| error.error)?;
    log::debug!("wrote {}, {} bytes", path.display(), content.len());
    Ok(())
}

/// A file that a user named for results: replaced as a whole, but a device or pipe is written to as it is, once.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    special: bool,
}

impl OutputFile {
    /// Finds out, before anything is measured and without changing what is there, whether it can be written.
    ///
    /// # Errors
    /// It is a directory, or the kernel refuses to write there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let special = fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir());
        if special {
            require_not_planted(path)?;
            OpenOptions::new().write(true).open(path)?;
        } else if path.is_dir() || path.file_name().is_none() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        } else {
            beside(path)?.as_file().write_all(b"probe\n")?;
        }
        Ok(Self {
            path: path.to_owned(),
            special,
        })
    }

    /// As the user named it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file's content, in one step for its readers. Nothing for a device or pipe.
    ///
    /// # Errors
    /// It cannot be written; the old file is then still there.
    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        if self.special {
            return Ok(());
        }
        replace_file(&self.path, content)
    }

    /// The last content: what devices and pipes get too.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&self, content: &[u8]) -> io::Result<()> {
        if !self.special {
            return self.write(content);
        }
        OpenOptions::new()
            .write(true)
            .open(&self.path)?
            .write_all(content)
    }
}

/// Fails for a link, pipe or device that another user put where anyone may, such as /tmp, under a name that we would use: it would
/// have us wait, or write to what that user may not.
fn require_not_planted(path: &Path) -> io::Result<()> {
    const ANYONES: u32 = 0o1002;
    let meta = fs::symlink_metadata(path)?;
    let dir = fs::metadata(directory_of(path))?;
    if trust::is_trusted(meta.uid()) || dir.mode() & ANYONES != ANYONES {
        return Ok(());
    }
    let why = format!(
        "user {} has put something that is no file there; remove it, or name another file",
        meta.uid()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        let keep = tempfile::tempdir().expect("a directory");
        fs::write(keep.path().join("abc"), "abc").expect("written");
        assert_eq!(
            sha256_of(&keep.path().join("abc")).expect("readable"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(sha256_of(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn a_pipe_is_read_if_somebody_writes_to_it() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let late = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            writer.write_all(b"late").expect("read");
        });
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        assert_eq!(read_given(Path::new(&path)).expect("written to"), "late");
        late.join().expect("no panic");
        let dir = tempfile::tempdir().expect("a directory");
        let silent = dir.path().join("silent");
        nix::unistd::mkfifo(&silent, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let error = read_given(&silent).expect_err("nobody writes");
        assert!(error.to_string().contains("nobody writes"), "{error}");
        read_given(dir.path()).expect_err("a directory");
    }

    #[test]
    fn a_replaced_file_is_as_readable_as_any_new_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode();
        fs::write(at("plain"), "x").expect("written");
        replace_file(&at("replaced"), b"old").expect("written");
        replace_file(&at("replaced"), b"new").expect("written");
        assert_eq!(fs::read(at("replaced")).expect("there"), b"new");
        assert_eq!(mode(&at("replaced")), mode(&at("plain")));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 2);
    }

    #[test]
    fn what_the_kernel_says_is_not_hidden() {
        let error = replace_file(Path::new("/nonexistent/x"), b"x").expect_err("no directory");
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("d")).expect("made");
        replace_file(&dir.path().join("d"), b"x").expect_err("a directory");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn an_output_is_replaced_whole_and_not_before_there_is_something() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.csv");
        fs::write(&path, "old").expect("written");
        let output = OutputFile::open(&path).expect("writable");
        assert_eq!(fs::read(&path).expect("there"), b"old");
        output.write(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
        for refused in [dir.path(), &dir.path().join("no/x.csv"), Path::new("/")] {
            OutputFile::open(refused).expect_err("refused");
        }
    }

    #[test]
    fn what_another_user_planted_is_not_written_to() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("SKIPPED: planted pipes: needs root to give files away");
        }
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).expect("ours");
        let (pipe, link) = (dir.path().join("x.csv"), dir.path().join("y.csv"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        std::os::unix::fs::symlink("/dev/null", &link).expect("a link");
        OutputFile::open(&link).expect("our own");
        for path in [&pipe, &link] {
            std::os::unix::fs::lchown(path, Some(4711), None).expect("given away");
            let error = OutputFile::open(path).expect_err("refused").to_string();
            assert!(error.contains("user 4711"), "{error}");
        }
    }

    #[test]
    fn a_full_device_is_told() {
        let output = OutputFile::open(Path::new("/dev/full")).expect("opens");
        output.write(b"kept back").expect("nothing done");
        let error = output.finish(b"benchmark").expect_err("full");
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    }
}
