//! The directories that programs are let loose on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const TREE_LINKS: [(&str, &str); 10] = [
    ("l", "d"),
    ("to-a", "a"),
    ("to-d", "./d"),
    ("up", "d/.."),
    ("out", "../outside"),
    ("absolute", "/etc/passwd"),
    ("loop", "loop"),
    ("dangling", "n"),
    ("chain", "to-d/../to-a"),
    ("d/back", "../a"),
];

/// Two directories that are granted, one of them read-only, and one that is not.
pub fn tree(root: &Path) {
    for granted in ["granted", "readable"] {
        let top = root.join(granted);
        fs::create_dir_all(top.join("d/e")).expect("directories");
        for (file, text) in [("a", "contents of a"), ("d/a", "of d/a"), ("d/e/f", "deep")] {
            fs::write(top.join(file), text).expect("a file");
        }
        for (link, text) in TREE_LINKS {
            symlink(text, top.join(link)).expect("a link");
        }
    }
    fs::create_dir(root.join("outside")).expect("a directory");
    fs::write(root.join("outside/secret"), "secret").expect("a file");
}

/// Everything below `root`: kind and contents.
pub fn everything(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let name = path
            .strip_prefix(root)
            .expect("below")
            .display()
            .to_string();
        let kind = fs::symlink_metadata(&path).expect("there").file_type();
        let is = if kind.is_symlink() {
            format!(
                "link to {}",
                fs::read_link(&path).expect("a link").display()
            )
        } else if kind.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
            "directory".to_owned()
        } else {
            format!("file {:?}", fs::read(&path).expect("a file"))
        };
        all.insert(name, is);
    }
    all
}
