//! An initial RAM disk: a cpio archive in the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst
//! of the Linux kernel).
//!
//! These forty lines stand in for the program cpio, which takes its entries from a tree of files (a device node in it needs
//! root, and every run would depend on what is installed), and for a crate of that format: none does more than this.
//! GNU cpio is held against it in the tests.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
const TRAILER: &str = "TRAILER!!!";

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// A directory; its parents must be there.
    pub fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, [0, 0], &[]);
    }

    /// A file that may be executed.
    pub fn executable(&mut self, name: &str, content: &[u8]) {
        self.entry(name, EXECUTABLE, [0, 0], content);
    }

    /// A character device.
    pub fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, CHARACTER_DEVICE, [major, minor], &[]);
    }

    /// Ends the archive and writes it to `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(mut self, path: &Path) -> io::Result<()> {
        self.entry(TRAILER, 0, [0, 0], &[]);
        File::create(path)?.write_all(&self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, device: [u32; 2], content: &[u8]) {
        self.entries += 1;
        let links = if mode == DIRECTORY { 2 } else { 1 };
        // Inode, mode, owner, group, links, time, size, device, device the node stands for, length of the
        // name with its NUL, no checksum. Files of 4 GiB and more do not fit the format.
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let fields = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            device[0],
            device[1],
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    /// Names and contents end at a multiple of four.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use driver_testkit::skipped;
    use proptest::prelude::*;

    use super::*;

    /// The entries of an archive, as a reader that follows the format finds them.
    fn read(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let (mut at, mut found) = (0, Vec::new());
        loop {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |n: usize| {
                let start = at + 6 + 8 * n;
                let text = std::str::from_utf8(&bytes[start..start + 8]).expect("digits");
                u32::from_str_radix(text, 16).expect("a number")
            };
            let (mode, size, length) = (field(1), field(6) as usize, field(11) as usize);
            let name = at + 110;
            let content = (name + length).next_multiple_of(4);
            let text = std::str::from_utf8(&bytes[name..name + length - 1]).expect("a name");
            if text == TRAILER {
                return found;
            }
            found.push((
                text.to_owned(),
                mode,
                bytes[content..content + size].to_vec(),
            ));
            at = (content + size).next_multiple_of(4);
        }
    }

    #[test]
    fn gnu_cpio_lists_and_extracts_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("initrd");
        let programs: [(&str, &[u8]); 3] = [
            ("init", b"#!/init"),
            ("demo/noop", &[0; 4099]),
            ("empty", b""),
        ];
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.device("dev/console", 5, 1);
        archive.directory("demo");
        for (name, content) in programs {
            archive.executable(name, content);
        }
        archive.write(&path).expect("written");
        let cpio = |arguments: &[&str]| {
            Command::new("cpio")
                .arg("--file")
                .arg(&path)
                .args(arguments)
                .current_dir(&directory)
                .env("TZ", "UTC")
                .output()
        };
        let Ok(listed) = cpio(&["--list", "--verbose", "--numeric-uid-gid", "--quiet"]) else {
            return skipped("cpio of an initrd", "no cpio; install the package cpio");
        };
        assert!(
            listed.status.success() && listed.stderr.is_empty(),
            "{listed:?}"
        );
        let text = String::from_utf8_lossy(&listed.stdout);
        let fields = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let lines: Vec<_> = text.lines().map(fields).collect();
        // Mode, links, owner, group, size (of a device its numbers), date, name.
        let ends = |at: usize| {
            let line = &lines[at];
            (
                line[0].as_str(),
                line[1..5].join(" "),
                line[line.len() - 1].as_str(),
            )
        };
        assert_eq!(lines.len(), 6, "{text}");
        assert_eq!(ends(0), ("drwxr-xr-x", "2 0 0 0".into(), "dev"));
        assert_eq!(ends(1), ("crw-------", "1 0 0 5,".into(), "dev/console"));
        assert_eq!(lines[1][5], "1");
        assert_eq!(ends(2), ("drwxr-xr-x", "2 0 0 0".into(), "demo"));
        assert_eq!(ends(3), ("-rwxr-xr-x", "1 0 0 7".into(), "init"));
        assert_eq!(ends(4), ("-rwxr-xr-x", "1 0 0 4099".into(), "demo/noop"));
        assert_eq!(ends(5), ("-rwxr-xr-x", "1 0 0 0".into(), "empty"));
        // All but the device, which only root can make.
        let extracted = cpio(&["--extract", "--quiet", "--nonmatching", "dev/console"]);
        let extracted = extracted.expect("cpio");
        assert!(extracted.status.success(), "{extracted:?}");
        for (name, content) in programs {
            let path = directory.path().join(name);
            assert_eq!(std::fs::read(path).expect("extracted"), content, "{name}");
        }
        assert!(directory.path().join("dev").is_dir());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(files in proptest::collection::vec(("[a-z/]{1,30}", proptest::collection::vec(any::<u8>(), 0..50)), 0..6)) {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("initrd");
            let mut archive = Archive::default();
            for (name, content) in &files {
                archive.executable(name, content);
            }
            archive.device("dev/console", 5, 1);
            archive.write(&path).expect("written");
            let mut found = read(&std::fs::read(&path).expect("read"));
            let device = found.pop().expect("the device");
            prop_assert_eq!(device.1, CHARACTER_DEVICE);
            let expected: Vec<_> = files.into_iter().map(|(n, c)| (n, EXECUTABLE, c)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
