//! Firecracker's jailer: a start's monitor in a root directory of its own, as a user of its own, without
//! capabilities.
//!
//! The jailer makes the directory, copies the monitor into it, makes devices, changes root and user and becomes the
//! monitor. It expects the guest's files to lie there, and leaves the removal to whoever called it. Each start does all
//! of that anew.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use measure_core::driver_kit::DriverError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::image::Image;
use crate::shared::Lack;

/// The first worker's user and group id; the next has the next. Far from what a system gives to anybody.
pub(super) const FIRST_USER: u32 = 1_900_000_000;
/// Directory of the jails, below one of ours.
const JAILS: &str = "jails";
/// The API's socket, within the jail.
const SOCKET: &str = "api.sock";

/// A worker's jail, which each of its starts makes and removes.
#[derive(Debug)]
pub(super) struct Jail {
    /// What the jailer makes, and all that is left when its monitor has ended.
    directory: PathBuf,
    /// What the guest is made of: a link to each is put into the jail.
    images: Vec<PathBuf>,
}

/// What keeps this process from using the jailer, and how to mend it.
pub(super) fn lacks() -> Option<Lack> {
    let why = "the jailer needs root: it makes devices, changes root and user";
    (!geteuid().is_root()).then(|| Lack::new(why, "run it as root"))
}

/// Makes the directory of jails below `directory`.
///
/// # Errors
/// It cannot be made.
pub(super) fn base(directory: &Path) -> Result<PathBuf, DriverError> {
    let base = directory.join(JAILS);
    fs::create_dir(&base)
        .map_err(|e| DriverError::failed(format!("cannot make {}", base.display()), e))?;
    Ok(base)
}

/// Kills the processes whose root directory is a jail below `directory`. The kernel does not: what has changed its
/// user no longer dies with its parent.
pub fn kill_inmates(directory: &Path) {
    let below = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let place = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let roots: Vec<_> = below(&directory.join(JAILS))
        .flat_map(|monitor| below(&monitor.path()))
        .filter_map(|jail| place(&jail.path().join("root")))
        .collect();
    if roots.is_empty() {
        return;
    }
    for process in below(Path::new("/proc")) {
        let pid = process.file_name().to_string_lossy().parse::<i32>();
        let root = place(&process.path().join("root"));
        if let (Ok(pid), Some(root)) = (pid, root)
            && roots.contains(&root)
        {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Jail {
    /// The jail of `worker` below `base`, of the monitor `executable`.
    ///
    /// # Errors
    /// The executable is not there.
    pub(super) fn new(
        base: &Path,
        executable: &Path,
        worker: usize,
        images: &[PathBuf],
    ) -> Result<Self, DriverError> {
        // As the jailer derives it.
        let name = fs::canonicalize(executable)
            .map(|path| path.file_name().map(OsString::from).unwrap_or_default())
            .map_err(|e| DriverError::failed(executable.display().to_string(), e))?;
        Ok(Self {
            directory: base.join(name).join(id(worker)),
            images: images.to_vec(),
        })
    }

    /// The jailer's arguments, up to those of the monitor.
    pub(super) fn arguments(base: &Path, executable: &Path, worker: usize) -> Vec<OsString> {
        let user = (u64::from(FIRST_USER) + worker as u64).to_string();
        let words = format!("--id {} --uid {user} --gid {user} --exec-file", id(worker));
        let mut words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        let directory = "--chroot-base-dir".into();
        words.extend([executable.into(), directory, base.into(), "--".into()]);
        words
    }

    /// The API's socket: as the monitor is told, and where it is for others.
    pub(super) fn sockets(&self) -> (OsString, PathBuf) {
        (format!("/{SOCKET}").into(), self.root().join(SOCKET))
    }

    fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// What is to be removed after a start.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the root directory with the guest's files, before the jailer is called.
    pub(super) fn build(&self) -> Result<(), DriverError> {
        let root = self.root();
        let build = || -> io::Result<()> {
            fs::create_dir_all(&root)?;
            for image in &self.images {
                fs::hard_link(image, root.join(image.file_name().unwrap_or_default()))?;
            }
            Ok(())
        };
        build().map_err(|e| DriverError::failed(format!("cannot build {}", root.display()), e))
    }
}

fn id(worker: usize) -> String {
    format!("w{worker}")
}

/// Brings the files of `image` into `directory`, where jails may link to them and any user may read them; `image`
/// then names them as they are within a jail. Returns where they are.
///
/// # Errors
/// One cannot be read or written.
pub(super) fn move_in(image: &mut Image, directory: &Path) -> Result<Vec<PathBuf>, DriverError> {
    let mut images = Vec::new();
    for (name, file) in image.files() {
        let image = directory.join(name);
        let brought = || -> io::Result<()> {
            if *file != image {
                fs::copy(&*file, &image)?;
            }
            fs::set_permissions(&image, fs::Permissions::from_mode(0o644))
        };
        brought().map_err(|e| DriverError::failed(format!("cannot copy {}", file.display()), e))?;
        *file = Path::new("/").join(name);
        images.push(image);
    }
    Ok(images)
}
