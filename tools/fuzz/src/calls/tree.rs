//! The directories that programs are let loose on, and what they may become.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

use crate::target::Finding;

/// What no program may find out.
pub const SECRET: &str = "of-nobodys-business";
/// The only absolute link, which is there from the start.
const ABSOLUTE: &str = "/etc/passwd";

const LINKS: [(&str, &str); 10] = [
    ("l", "d"),
    ("to-a", "a"),
    ("to-d", "./d"),
    ("up", "d/.."),
    ("out", "../outside"),
    ("absolute", ABSOLUTE),
    ("loop", "loop"),
    ("dangling", "n"),
    ("chain", "to-d/../to-a"),
    ("d/back", "../a"),
];

/// Two directories that are granted, one of them read-only, and one that is not.
///
/// # Errors
/// They cannot be made.
pub fn make(root: &Path) -> io::Result<()> {
    for granted in ["granted", "readable"] {
        let top = root.join(granted);
        fs::create_dir_all(top.join("d/e"))?;
        for (file, text) in [("a", "contents of a"), ("d/a", "of d/a"), ("d/e/f", "deep")] {
            fs::write(top.join(file), text)?;
        }
        for (link, text) in LINKS {
            symlink(text, top.join(link))?;
        }
    }
    fs::create_dir(root.join("outside"))?;
    fs::write(root.join("outside/secret"), SECRET)
}

/// What there is below `root`, by path: kind and contents; for all but `granted`, times, owner and links as well.
pub type Tree = BTreeMap<String, String>;

/// What there is now.
///
/// # Errors
/// It cannot be read.
pub fn survey(root: &Path) -> io::Result<Tree> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let meta = fs::symlink_metadata(&path)?;
        let mut is = if meta.is_symlink() {
            format!("link to {}", fs::read_link(&path)?.display())
        } else if meta.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
            "directory".to_owned()
        } else if meta.is_file() {
            format!("file {:?}", fs::read(&path)?)
        } else {
            format!("something else: {:?}", meta.file_type())
        };
        if !name.is_empty() && !name.starts_with("granted") {
            is.push_str(&beside(&meta));
        }
        all.insert(name, is);
    }
    Ok(all)
}

fn beside(meta: &Metadata) -> String {
    format!(
        ", mode {:o}, {} links, owner {}, inode {}, written {}.{}",
        meta.mode(),
        meta.nlink(),
        meta.uid(),
        meta.ino(),
        meta.mtime(),
        meta.mtime_nsec()
    )
}

/// Checks what became of `before`.
///
/// # Errors
/// Something changed that no program may change, or something is there that none may make.
pub fn check(root: &Path, before: &Tree, after: &Tree) -> Result<(), Finding> {
    for (path, was) in before
        .iter()
        .filter(|(path, _)| !path.starts_with("granted"))
    {
        match after.get(path) {
            Some(is) if is == was => {}
            is => return Err(format!("{path} was {was} and is {is:?}")),
        }
    }
    for (path, is) in after {
        let inside = path.starts_with("granted");
        if !inside && !before.contains_key(path) {
            return Err(format!("{path} was made outside: {is}"));
        }
        if inside {
            check_entry(&root.join(path)).map_err(|why| format!("{path}: {why}"))?;
        }
    }
    Ok(())
}

fn check_entry(path: &Path) -> Result<(), Finding> {
    let meta = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    let kind = meta.file_type();
    if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
        return Err(format!("a {kind:?} was made"));
    }
    if !meta.is_symlink() && meta.mode() & 0o7000 != 0 {
        return Err(format!("it has mode {:o}", meta.mode()));
    }
    if meta.is_symlink() {
        let target = fs::read_link(path).map_err(|e| e.to_string())?;
        if target.is_absolute() && target != Path::new(ABSOLUTE) {
            return Err(format!("an absolute link to {} was made", target.display()));
        }
    }
    Ok(())
}
