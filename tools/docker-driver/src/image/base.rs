//! The base image where no Alpine is to be had: musl's loader and busybox, as Alpine itself has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure_core::driver_kit::DriverError;
use sha2::{Digest, Sha256};

use super::context::{Tar, is_static_elf};

/// A root file system made here.
#[derive(Debug)]
pub struct LocalBase {
    /// The archive.
    pub tar: Vec<u8>,
    /// Its digest, `sha256:...`.
    pub digest: String,
    /// For the records: of what it is made.
    pub what: String,
}

const DIRS: [(&str, u32); 17] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("lib", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
];

const FILES: [(&str, &str); 4] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nnobody:x:65534:\n"),
    ("etc/nsswitch.conf", "hosts: files dns\n"),
    (
        "etc/os-release",
        "NAME=\"faasm-bench local base\"\nID=faasm-bench\nPRETTY_NAME=\"musl + busybox\"\n",
    ),
];

const MEND: &str = "apt-get install busybox-static musl-tools";

/// Makes the archive of the host's static busybox and musl.
///
/// # Errors
/// One of them is not installed.
pub fn make_base() -> Result<LocalBase, DriverError> {
    let busybox = find_busybox()?;
    let (loader_name, loader) = find_loader()?;
    let applets = applets(&busybox)?;
    let build = || {
        let mut tar = Tar::new();
        for (name, mode) in DIRS {
            tar.dir(name, mode)?;
        }
        for (name, text) in FILES {
            tar.file(name, 0o644, text.as_bytes())?;
        }
        tar.file("bin/busybox", 0o755, &fs::read(&busybox)?)?;
        tar.file(format!("lib/{loader_name}"), 0o755, &fs::read(&loader)?)?;
        for applet in &applets {
            tar.link(applet, "/bin/busybox")?;
        }
        tar.finish()
    };
    let tar = build().map_err(|e| DriverError::failed("cannot make the local base image", e))?;
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&tar)));
    let what = format!("local musl + {}", version(&busybox));
    Ok(LocalBase { tar, digest, what })
}

fn unavailable(why: &str) -> DriverError {
    DriverError::Unavailable {
        why: why.to_owned(),
        mend: MEND.to_owned(),
    }
}

fn find_busybox() -> Result<PathBuf, DriverError> {
    ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|path| fs::read(path).is_ok_and(|bytes| is_static_elf(&bytes)))
        .ok_or_else(|| unavailable("no static busybox for the local base image"))
}

/// The name under which musl's loader is looked for by programs, and the file.
fn find_loader() -> Result<(String, PathBuf), DriverError> {
    let name = format!("ld-musl-{}.so.1", std::env::consts::ARCH);
    let path = Path::new("/lib").join(&name);
    // A link in Debian: what it leads to is what goes in.
    fs::canonicalize(&path)
        .map(|path| (name, path))
        .map_err(|_| unavailable("no musl loader for the local base image"))
}

/// Paths of busybox's applets, without a leading slash.
fn applets(busybox: &Path) -> Result<Vec<String>, DriverError> {
    let output = Command::new(busybox)
        .arg("--list-full")
        .output()
        .map_err(|e| DriverError::failed("cannot run busybox", e))?;
    let known = |path: &str| {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        DIRS.iter().any(|(name, _)| *name == dir) && path != "bin/busybox"
    };
    let mut applets: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|path| known(path))
        .map(str::to_owned)
        .collect();
    applets.sort_unstable();
    applets.dedup();
    if applets.iter().any(|applet| applet == "bin/sh") {
        return Ok(applets);
    }
    Err(unavailable("the busybox of this host has no shell"))
}

fn version(busybox: &Path) -> String {
    let output = Command::new(busybox).arg("--help").output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let text = text.unwrap_or_default().replace("BusyBox", "busybox");
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    if words.is_empty() {
        return "busybox".into();
    }
    words.join(" ")
}
