//! The directory that a function may write to: one for all starts of a driver process, gone with it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::getpid;

use crate::base::tree::remove_tree;
use crate::base::{home, label};
use crate::contract::answer::{Content, Taking};
use crate::driver_kit::DriverError;

/// More files than this are no answer that is compared.
const MAX_FILES: usize = 1000;
/// In which stat(2) counts, whatever a file system's blocks are.
const STAT_BLOCK_BYTES: u64 = 512;
/// A function that writes more than this when its answer is asked for is ended; as much as a Faaslet may write, by default.
pub const LIMIT_BYTES: u64 = 256 << 20;

fn parent() -> PathBuf {
    home::state().join("output")
}

fn path() -> PathBuf {
    parent().join(label::name(getpid().as_raw(), "output"))
}

/// Makes it, unless it is there.
///
/// # Errors
/// The kernel refuses.
pub fn ensure() -> Result<PathBuf, DriverError> {
    let path = path();
    // In it a function of another user id may write as well: containers have their own.
    let made = fs::create_dir_all(&path)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o777)));
    made.map_err(|e| DriverError::failed(format!("cannot make {}", path.display()), e))?;
    Ok(path)
}

/// Removes it, if it was made. Drivers have it removed when their command ends.
pub fn remove() {
    // Not there is as good; what cannot be removed now is an orphan's for the next run.
    let _ = remove_tree(&path());
}

/// Removes those whose processes are gone; returns what was removed.
pub fn remove_orphans() -> Vec<String> {
    let all = fs::read_dir(parent()).into_iter().flatten().flatten();
    let orphans = all.filter(|e| e.file_name().to_str().is_some_and(label::is_orphan));
    let removed = orphans.filter(|entry| remove_tree(&entry.path()).is_ok());
    removed
        .map(|entry| format!("directory {}", entry.path().display()))
        .collect()
}

/// How much lies in it by now, in bytes of disk; none where it was not made.
#[must_use]
pub fn used_bytes() -> u64 {
    used_below(&path())
}

fn used_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let used = |entry: fs::DirEntry| {
        // Of a link its own, not what it leads to.
        let Ok(data) = entry.metadata() else { return 0 };
        match data.is_dir() {
            true => used_below(&entry.path()),
            false => data.blocks() * STAT_BLOCK_BYTES,
        }
    };
    entries.map(used).sum()
}

/// What lies below `dir`, by path there. A symbolic link counts as a file that holds what it points to by name.
///
/// # Errors
/// It cannot be read, or holds too much to be compared.
pub fn written_files(dir: &Path) -> io::Result<BTreeMap<String, Content>> {
    let mut files = BTreeMap::new();
    collect(dir, dir, &mut files)?;
    Ok(files)
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Content>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &path, files)?;
            continue;
        }
        if files.len() == MAX_FILES {
            let why = format!("it wrote more than {MAX_FILES} files, which are not compared");
            return Err(io::Error::other(why));
        }
        let content = if kind.is_symlink() {
            Content::of_bytes(fs::read_link(&path)?.as_os_str().as_encoded_bytes())
        } else if kind.is_file() {
            content_of(&path)?
        } else {
            // A pipe or socket would never end.
            Content::default()
        };
        let name = path.strip_prefix(root).unwrap_or(&path);
        files.insert(name.to_string_lossy().into_owned(), content);
    }
    Ok(())
}

fn content_of(path: &Path) -> io::Result<Content> {
    // What was a file a moment ago may be a link or a pipe by now, where something of the function lives on.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let mut taking = Taking::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(taking.finish()),
            n => taking.take(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_by_path_and_content() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("a")).expect("made");
        fs::write(dir.path().join("a/b c.txt"), "x").expect("written");
        std::os::unix::fs::symlink("/nowhere", dir.path().join("link")).expect("a link");
        let files = written_files(dir.path()).expect("readable");
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["a/b c.txt", "link"]);
        assert_eq!(files["a/b c.txt"].kept, b"x");
        assert_eq!(files["link"].kept, b"/nowhere");
    }

    #[test]
    fn what_is_used_is_that_of_files_in_any_depth() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(used_below(dir.path()), 0);
        fs::create_dir(dir.path().join("a")).expect("made");
        fs::write(dir.path().join("a/b"), vec![1; 300_000]).expect("written");
        std::os::unix::fs::symlink("b", dir.path().join("a/link")).expect("a link");
        let used = used_below(dir.path());
        assert!((300_000..400_000).contains(&used), "{used}");
        assert_eq!(used_below(&dir.path().join("nowhere")), 0);
    }
}
