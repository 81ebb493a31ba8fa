//! What Firecracker's jailer does, as far as this driver sees it: the jail is made, the process changes root and
//! user, and goes on as the monitor. The real one executes the copy that it has made in the jail; this one is that
//! monitor already.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, chdir, chown, chroot, setgid, setuid};

/// Devices that every jail has, by their numbers.
const DEVICES: [(&str, u64, u64); 3] = [
    ("dev/net/tun", 10, 200),
    ("dev/kvm", 10, 232),
    ("dev/urandom", 1, 9),
];

/// Whether `arguments` are the jailer's.
pub fn is_called(arguments: &[String]) -> bool {
    arguments.iter().any(|a| a == "--exec-file")
}

/// Why there is no jail, in the jailer's words.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error("Failed to parse arguments: Argument '{0}' required.")]
    Missing(&'static str),
    #[error("Invalid {name}: {text}")]
    Number { name: &'static str, text: String },
    #[error("Invalid instance ID: {0}")]
    Id(String),
    #[error("Failed to canonicalize path {path}: {source}")]
    Canonicalize { path: String, source: io::Error },
    #[error("{path}: {source}", path = path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("Failed to pivot root: {0}")]
    Enter(#[source] Errno),
}

/// Enters the jail that `arguments` describe; returns the arguments of the monitor.
pub fn enter(arguments: &[String]) -> Result<Vec<String>, JailError> {
    let end = arguments.iter().position(|a| a == "--");
    let (own, monitors) = arguments.split_at(end.unwrap_or(arguments.len()));
    let value = |name: &'static str| {
        let found = own.windows(2).find(|pair| pair[0] == name);
        let found = found.map(|pair| pair[1].clone());
        found.ok_or(JailError::Missing(name))
    };
    let number = |name: &'static str| {
        let text = value(name)?;
        let number = text.parse::<u32>();
        number.map_err(|_| JailError::Number {
            name: &name[2..],
            text,
        })
    };
    let id = value("--id")?;
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(JailError::Id(id));
    }
    let (user, group) = (
        Uid::from_raw(number("--uid")?),
        Gid::from_raw(number("--gid")?),
    );
    let executable = canonical(value("--exec-file")?)?;
    let name = executable.file_name().unwrap_or_default().to_owned();
    let base = canonical(value("--chroot-base-dir")?)?;
    let root = base.join(&name).join(id).join("root");
    make(&root, &executable, user, group).map_err(|source| JailError::Make {
        path: root.clone(),
        source,
    })?;
    chroot(&root)
        .and_then(|()| chdir("/"))
        .and_then(|()| setgid(group))
        .and_then(|()| setuid(user))
        .map_err(JailError::Enter)?;
    Ok(monitors.to_vec())
}

fn canonical(path: String) -> Result<PathBuf, JailError> {
    fs::canonicalize(&path).map_err(|source| JailError::Canonicalize { path, source })
}

fn make(root: &Path, executable: &Path, user: Uid, group: Gid) -> io::Result<()> {
    fs::create_dir_all(root)?;
    fs::copy(
        executable,
        root.join(executable.file_name().unwrap_or_default()),
    )?;
    for directory in ["", "dev", "dev/net", "run"] {
        let path = root.join(directory);
        fs::create_dir_all(&path)?;
        chown(&path, Some(user), Some(group))?;
    }
    for (name, major, minor) in DEVICES {
        let path = root.join(name);
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        mknod(&path, SFlag::S_IFCHR, mode, makedev(major, minor))?;
        chown(&path, Some(user), Some(group))?;
    }
    Ok(())
}
