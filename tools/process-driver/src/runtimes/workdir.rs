//! The directory below which everything of one driver's starts lies.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use measure_core::base::home;
use measure_core::base::label::{self, Owner};
use measure_core::base::tree::remove_tree;
use measure_core::driver_kit::DriverError;
use measure_core::driver_kit::cgroup;
use measure_core::driver_kit::mounts;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::all_processes;

use super::groups;

/// In the environment of every command, with the name of its start.
pub(crate) const START_VARIABLE: &str = "FAASM_BENCH_START";

/// Where systemd-nspawn keeps what is not in the directory that it is given.
const NSPAWN: &str = "/run/systemd/nspawn";

/// Removed on drop.
#[derive(Debug)]
pub(crate) struct Workdir {
    state: PathBuf,
    run: PathBuf,
}

/// Where state directories are.
fn states() -> PathBuf {
    // Not the runtime directory: it may be mounted so that nothing in it can be executed.
    home::state().join("runtimes")
}

/// The directory for sockets of the driver `owner`: a socket's path is at most 107 bytes long, and some runtimes
/// put long names below.
fn run_dir(owner: Owner) -> PathBuf {
    home::runtime().join(label::name_of(owner, "run"))
}

impl Workdir {
    /// Makes the directories of the rung `id`, and removes what killed drivers left.
    pub(crate) fn make(id: &str) -> Result<Self, DriverError> {
        remove_orphans();
        let owner = Owner::this_process();
        let made = Self {
            state: states().join(label::name_of(owner, id)),
            run: run_dir(owner),
        };
        for path in [&made.state, &made.run] {
            remove(path)?;
            fs::create_dir_all(path)
                .map_err(|e| DriverError::failed(format!("cannot make {}", path.display()), e))?;
        }
        Ok(made)
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn run(&self) -> &Path {
        &self.run
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        for path in [&self.state, &self.run] {
            if let Err(error) = remove(path) {
                eprintln!("warning: {error}; `process-driver clean` tries again");
            }
        }
    }
}

/// Removes what killed drivers left: their cgroups with the processes in them, processes of their starts, mounts
/// and directories. Returns what was removed.
pub(crate) fn remove_orphans() -> Vec<String> {
    let groups = cgroup::remove_orphans();
    let mut removed: Vec<String> = groups
        .into_iter()
        .map(|dir| format!("cgroup {dir}"))
        .collect();
    removed.extend(
        groups::remove_orphans()
            .into_iter()
            .map(|dir| format!("cgroup {dir}")),
    );
    for (owner, path) in orphans() {
        kill_users(owner);
        // Named after the root directory, so it is to be found only as long as that is there.
        let lock = nspawn_lock(&path.join("root"));
        if let Some(lock) = lock.filter(|lock| fs::remove_file(lock).is_ok()) {
            removed.push(format!("lock {}", lock.display()));
        }
        match remove(&path) {
            Ok(()) => removed.push(format!("directory {}", path.display())),
            Err(error) => eprintln!("warning: {error}"),
        }
    }
    removed.extend(remove_nspawn_directories());
    removed
}

/// The lock that systemd-nspawn keeps for the directory `root`, which it leaves if it is killed.
fn nspawn_lock(root: &Path) -> Option<PathBuf> {
    let root = fs::metadata(root).ok()?;
    let name = format!("inode-{}:{}", root.dev(), root.ino());
    Some(Path::new(NSPAWN).join("locks").join(name))
}

/// Removes what systemd-nspawn made for machines of killed drivers and left as it was killed too. Returns what was removed.
fn remove_nspawn_directories() -> Vec<String> {
    let all = fs::read_dir(Path::new(NSPAWN).join("propagate"));
    let paths = all
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let orphan = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(label::is_orphan)
    };
    paths
        .filter(orphan)
        .filter(|path| fs::remove_dir(path).is_ok())
        .map(|path| format!("directory {}", path.display()))
        .collect()
}

/// Directories whose makers are gone, with these.
fn orphans() -> Vec<(Owner, PathBuf)> {
    let below = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let all = below(states()).chain(below(home::runtime()));
    all.filter_map(|entry| {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_str().filter(|name| label::is_orphan(name))?;
        let owner = label::owner(name)?;
        (path.starts_with(states()) || path == run_dir(owner)).then_some((owner, path))
    })
    .collect()
}

/// Kills processes whose environment says that they belong to a start of the directory's maker.
fn kill_users(owner: Owner) {
    let mark = label::name_of(owner, "");
    for process in all_processes().into_iter().flatten().flatten() {
        let environment = process.environ().unwrap_or_default();
        let start = environment.get(OsStr::new(START_VARIABLE));
        if start.is_some_and(|name| name.to_string_lossy().starts_with(&mark)) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

fn remove(path: &Path) -> Result<(), DriverError> {
    // What is mounted below is not ours to remove.
    for _ in 0..3 {
        let mounts = mounts_below(path);
        if mounts.is_empty() {
            break;
        }
        for mount in mounts.iter().rev() {
            let _ = umount2(mount, MntFlags::MNT_DETACH);
        }
    }
    let cannot = |e: io::Error| DriverError::failed(format!("cannot remove {}", path.display()), e);
    if let Some(mount) = mounts_below(path).first() {
        let why = format!("{} is still mounted", mount.display());
        return Err(cannot(io::Error::other(why)));
    }
    // Something that has just been killed may still write.
    let mut outcome = Ok(());
    for _ in 0..5 {
        outcome = remove_tree(path);
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            _ => break,
        }
    }
    outcome.map_err(cannot)
}

/// As [`mounts::mounts_below`]; none where that cannot be known.
pub(super) fn mounts_below(path: &Path) -> Vec<PathBuf> {
    mounts::mounts_below(path).unwrap_or_default()
}
