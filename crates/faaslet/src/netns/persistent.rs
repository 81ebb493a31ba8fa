//! The namespaces that outlive a process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::home;
use measure_core::base::interrupt;
use measure_core::base::label;
use measure_core::base::lock::{FileLock, LockError};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FsType, fstatfs};

use super::config::{
    Config, MAX_PERSISTENT, host_ifindex, persistent_alias, persistent_index, persistent_name,
};
use super::error::NetnsError;
use super::namespace::{Namespace, delete_host_end};
use super::survey::{Survey, check_range, inside_is_complete};

/// Where `ip netns` has its namespaces.
const DIRECTORY: &str = "/run/netns";
/// `NSFS_MAGIC` of linux/magic.h.
const NSFS_MAGIC: FsType = FsType(0x6e73_6673);
/// How long the kernel may take to tear namespaces down before we say that something holds them.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long another process may take over the pool: making thousands of namespaces lasts minutes.
const POOL_LOCK_LIMIT: Duration = Duration::from_secs(300);

/// What [`ensure_persistent`] found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ensured {
    /// Were there already and complete.
    pub kept: usize,
    /// Made anew.
    pub added: usize,
    /// Were half-made or damaged and made again.
    pub repaired: usize,
}

/// Makes sure that the persistent namespaces 0..`n` exist and are complete; `progress` is told how many
/// of `n` are done. A signal ends it early, each namespace whole or not there.
///
/// # Errors
/// No permission, a kernel without veth or tbf, the address range is taken, or a damaged namespace is
/// in use.
pub fn ensure_persistent(
    n: usize,
    config: &Config,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Ensured, NetnsError> {
    let count = u32::try_from(n)
        .ok()
        .filter(|&n| n <= MAX_PERSISTENT)
        .ok_or_else(|| {
            NetnsError::Config(format!(
                "{n} persistent network namespaces: it must be 0 to {MAX_PERSISTENT} (a run that needs more makes them itself)"
            ))
        })?;
    let _lock = lock_pool()?;
    check_range(config)?;
    share_directory()?;
    let survey = Survey::of_host()?;
    let mut done = Ensured::default();
    for index in 0..count {
        if interrupt::received().is_some() {
            break;
        }
        ensure_one(index, config, &survey, &mut done)?;
        progress(index as usize + 1, n);
    }
    Ok(done)
}

fn ensure_one(
    index: u32,
    config: &Config,
    survey: &Survey,
    done: &mut Ensured,
) -> Result<(), NetnsError> {
    let path = path_of(index);
    if !path.exists() && survey.in_place_of(index).is_none() {
        make(index, config)?;
        done.added += 1;
        return Ok(());
    }
    if let Some(namespace) = open_mounted(&path)? {
        if survey.has_host_end(index, config)
            && inside_is_complete(namespace.as_fd(), index, config)?
        {
            done.kept += 1;
            return Ok(());
        }
        if lock(namespace)?.is_none() {
            return Err(NetnsError::Busy(format!(
                "{} needs repair, but another process is using it: end that first",
                persistent_name(index)
            )));
        }
    }
    unmount(&path)?;
    if let Some(link) = survey.in_place_of(index) {
        if !is_persistent_mark(&link.alias) {
            return Err(NetnsError::Busy(format!(
                "a network device `{}` that is not ours is where namespace {} would have its own",
                link.name,
                persistent_name(index)
            )));
        }
        delete_host_end(index)?;
    }
    make(index, config)?;
    done.repaired += 1;
    Ok(())
}

/// Makes a namespace and, when it is complete, gives it its name.
fn make(index: u32, config: &Config) -> Result<(), NetnsError> {
    let namespace = Namespace::build(index, config, persistent_alias(index, config))?;
    let path = path_of(index);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o0)
        .open(&path)
        .map_err(|e| NetnsError::os(format!("cannot create {}", path.display()), e))?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", namespace.fd().as_raw_fd()));
    let mounted = mount(
        Some(&source),
        &path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    );
    mounted.map_err(|e| {
        let _ = fs::remove_file(&path);
        NetnsError::os(format!("cannot mount {}", path.display()), e.into())
    })
}

/// Removes our persistent namespaces and nothing else; returns their names.
///
/// # Errors
/// One could not be removed, or another process is using one (the others are removed all the same).
pub fn remove_persistent() -> Result<Vec<String>, NetnsError> {
    let names = persistent_names()?;
    let strays = |survey: &Survey| -> Vec<u32> {
        let ours = |i: &u32| {
            let link = survey.links.get(&host_ifindex(*i));
            link.is_some_and(|link| is_persistent_mark(&link.alias)) && !path_of(*i).exists()
        };
        (0..MAX_PERSISTENT).filter(ours).collect()
    };
    if names.is_empty() && strays(&Survey::of_host()?).is_empty() {
        return Ok(Vec::new());
    }
    let _lock = lock_pool()?;
    let (mut removed, mut used) = (Vec::new(), Vec::new());
    for index in names {
        let path = path_of(index);
        let free = match open_mounted(&path)? {
            Some(namespace) => lock(namespace)?.is_some(),
            None => true,
        };
        if free {
            unmount(&path)?;
            removed.push(index);
        } else {
            used.push(persistent_name(index));
        }
    }
    unshare_directory();
    wait_for_teardown(&strays)?;
    if used.is_empty() {
        return Ok(removed.into_iter().map(persistent_name).collect());
    }
    Err(NetnsError::Busy(format!(
        "{} of our network namespaces are in use by another process ({}, ...): end it first ({} others removed)",
        used.len(),
        used[0],
        removed.len()
    )))
}

/// The kernel tears unmounted namespaces down on a thread of its own, many at a time, which is far cheaper
/// than removing pair by pair; what something else still holds loses its pair here.
fn wait_for_teardown(strays: &dyn Fn(&Survey) -> Vec<u32>) -> Result<(), NetnsError> {
    let deadline = Instant::now() + TEARDOWN_TIMEOUT;
    loop {
        let left = strays(&Survey::of_host()?);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return left.into_iter().try_for_each(delete_host_end);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Removes the host ends that killed processes of ours left: those whose namespace something else still
/// holds (all others went by themselves). Returns their names.
///
/// # Errors
/// One could not be removed.
pub fn remove_orphans() -> Result<Vec<String>, NetnsError> {
    let survey = Survey::of_host()?;
    let mut removed = Vec::new();
    for (ifindex, link) in &survey.links {
        if label::is_orphan(&link.alias) && *ifindex >= host_ifindex(0) {
            delete_host_end(ifindex - host_ifindex(0))?;
            removed.push(link.name.clone());
        }
    }
    Ok(removed)
}

/// Up to `n` complete persistent namespaces that no other process uses, locked for this one.
pub(super) fn take(n: usize, config: &Config) -> Result<Vec<Namespace>, NetnsError> {
    let names = persistent_names()?;
    if n == 0 || names.is_empty() {
        return Ok(Vec::new());
    }
    let survey = Survey::of_host()?;
    let mut taken = Vec::new();
    for index in names {
        if taken.len() == n {
            break;
        }
        if survey.has_host_end(index, config)
            && let Some(namespace) = open_mounted(&path_of(index))?
            && let Some(fd) = lock(namespace)?
        {
            taken.push(Namespace::existing(index, config, fd));
        }
    }
    Ok(taken)
}

fn path_of(index: u32) -> PathBuf {
    Path::new(DIRECTORY).join(persistent_name(index))
}

/// Indices of our names in the directory, ascending.
fn persistent_names() -> Result<Vec<u32>, NetnsError> {
    let cannot = |e| NetnsError::os(format!("cannot list {DIRECTORY}"), e);
    let entries = match fs::read_dir(DIRECTORY) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(cannot)?,
    };
    let mut indices = Vec::new();
    for entry in entries {
        let name = entry.map_err(cannot)?.file_name();
        indices.extend(name.to_str().and_then(persistent_index));
    }
    indices.sort_unstable();
    Ok(indices)
}

fn is_persistent_mark(alias: &str) -> bool {
    let name = alias.split(' ').next().unwrap_or_default();
    persistent_index(name).is_some()
}

/// The namespace mounted at `path`; `None` where there is none, such as the bare file that a killed run
/// or a reboot leaves.
fn open_mounted(path: &Path) -> Result<Option<File>, NetnsError> {
    let cannot = |e| NetnsError::os(format!("cannot open {}", path.display()), e);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(cannot)?,
    };
    let kind = fstatfs(&file).map_err(|e| cannot(e.into()))?;
    Ok((kind.filesystem_type() == NSFS_MAGIC).then_some(file))
}

/// Locks a namespace for this process; `None` if another has it. The lock is on the namespace itself, so it
/// needs no file or descriptor of its own.
fn lock(namespace: File) -> Result<Option<Flock<File>>, NetnsError> {
    match Flock::lock(namespace, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(Some(locked)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(NetnsError::os(
            "cannot lock a network namespace",
            error.into(),
        )),
    }
}

/// One process at a time adds or removes persistent namespaces.
fn lock_pool() -> Result<FileLock, NetnsError> {
    let directory = home::runtime();
    let path = directory.join("netns.lock");
    let cannot = |e| NetnsError::os(format!("cannot lock {}", path.display()), e);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&directory)
        .map_err(cannot)?;
    FileLock::take(&path, POOL_LOCK_LIMIT).map_err(|error| match error {
        LockError::Io { source, .. } => cannot(source),
        other => NetnsError::Busy(other.to_string()),
    })
}

fn marker() -> PathBuf {
    home::runtime().join("netns-directory")
}

/// Makes the directory a shared mount of its own, as `ip netns add` does: otherwise the mounts in it would
/// be copied into every mount namespace made later and keep the namespaces alive there.
fn share_directory() -> Result<(), NetnsError> {
    let cannot = |e: io::Error| NetnsError::os(format!("cannot prepare {DIRECTORY}"), e);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(DIRECTORY)
        .map_err(cannot)?;
    let nothing = None::<&str>;
    let share = || {
        let flags = MsFlags::MS_SHARED | MsFlags::MS_REC;
        mount(nothing, DIRECTORY, nothing, flags, nothing)
    };
    match share() {
        Err(Errno::EINVAL) => {
            fs::write(marker(), "").map_err(cannot)?;
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(DIRECTORY), DIRECTORY, nothing, flags, nothing)
                .and_then(|()| share())
                .map_err(|e| cannot(e.into()))
        }
        outcome => outcome.map_err(|e| cannot(e.into())),
    }
}

/// Undoes [`share_directory`] if it was ours and nobody has anything in there.
fn unshare_directory() {
    let empty = fs::read_dir(DIRECTORY).is_ok_and(|mut entries| entries.next().is_none());
    if empty && marker().exists() && umount2(DIRECTORY, MntFlags::empty()).is_ok() {
        let _ = fs::remove_dir(DIRECTORY);
        let _ = fs::remove_file(marker());
    }
}

fn unmount(path: &Path) -> Result<(), NetnsError> {
    let cannot = |e| NetnsError::os(format!("cannot remove {}", path.display()), e);
    // Not a mount point, or not even there: what a killed run leaves.
    match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(error) => return Err(cannot(error.into())),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.map_err(cannot),
    }
}
