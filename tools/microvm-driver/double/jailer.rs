//! What Firecracker's jailer does, as far as this driver sees it: the jail is made, the process changes root and
//! user, and goes on as the monitor. The real one executes the copy that it has made in the jail; this one is that
//! monitor already.

use std::fs;
use std::path::{Path, PathBuf};

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

/// Enters the jail that `arguments` describe; returns the arguments of the monitor.
pub fn enter(arguments: &[String]) -> Result<Vec<String>, String> {
    let end = arguments.iter().position(|a| a == "--");
    let (own, monitors) = arguments.split_at(end.unwrap_or(arguments.len()));
    let value = |name: &str| {
        let found = own.windows(2).find(|pair| pair[0] == name);
        let missing = || format!("Failed to parse arguments: Argument '{name}' required.");
        found.map(|pair| pair[1].clone()).ok_or_else(missing)
    };
    let number = |name: &str| {
        let text = value(name)?;
        text.parse::<u32>()
            .map_err(|_| format!("Invalid {}: {text}", &name[2..]))
    };
    let id = value("--id")?;
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("Invalid instance ID: {id}"));
    }
    let (user, group) = (
        Uid::from_raw(number("--uid")?),
        Gid::from_raw(number("--gid")?),
    );
    let executable = canonical(&value("--exec-file")?)?;
    let name = executable.file_name().unwrap_or_default().to_owned();
    let base = canonical(&value("--chroot-base-dir")?)?;
    let root = base.join(&name).join(id).join("root");
    make(&root, &executable, user, group).map_err(|e| format!("{}: {e}", root.display()))?;
    chroot(&root)
        .and_then(|()| chdir("/"))
        .and_then(|()| setgid(group))
        .and_then(|()| setuid(user))
        .map_err(|e| format!("Failed to pivot root: {e}"))?;
    Ok(monitors.to_vec())
}

fn canonical(path: &str) -> Result<PathBuf, String> {
    fs::canonicalize(path).map_err(|e| format!("Failed to canonicalize path {path}: {e}"))
}

fn make(root: &Path, executable: &Path, user: Uid, group: Gid) -> std::io::Result<()> {
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
