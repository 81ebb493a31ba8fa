//! A group of our own in one or more hierarchies: where it is made, and that it goes.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::CgroupError;
use super::controller::Controller;
use super::hierarchies::{Hierarchies, words};
use super::read::{self, text};
use super::tasks::{remove_tree, write};
use crate::base::label;

/// Directories of groups that this process holds: tells a group in use from what a dead process of
/// the same id (another container's, say) left under the same name.
static HELD: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);

/// What a v1 memory group says that has no limit: the largest number of whole pages, whatever their size.
const UNBOUNDED_BYTES: u64 = 1 << 62;

/// A group of our own; removed on drop.
#[derive(Debug)]
pub struct Group {
    pub(super) dirs: BTreeMap<Controller, PathBuf>,
    /// Per distinct directory, the group in which the maker was.
    pub(super) origins: BTreeMap<PathBuf, PathBuf>,
    missing: Vec<(Controller, CgroupError)>,
}

impl Group {
    /// Makes the group `name` (see [`label::name`]; parts after a `/` are groups within it) in the
    /// hierarchy of each controller: at its root on v1 (of memory below the caller's own group where that is limited), as the
    /// module says on v2.
    ///
    /// # Errors
    /// `name` is not ours or in use, a controller is not mounted or not delegated, or no permission;
    /// nothing is left behind then.
    pub fn create(name: &str, controllers: &[Controller]) -> Result<Self, CgroupError> {
        let mut group = Self::create_where_possible(name, controllers)?;
        if group.missing.is_empty() {
            return Ok(group);
        }
        Err(group.missing.remove(0).1)
    }

    /// As [`Self::create`], but leaves out what cannot be had; [`Self::missing`] says why.
    ///
    /// # Errors
    /// `name` is not ours, or `/proc` is not there.
    pub fn create_where_possible(
        name: &str,
        controllers: &[Controller],
    ) -> Result<Self, CgroupError> {
        check_name(name)?;
        let hierarchies = Hierarchies::discover()?;
        let path = Path::new("/proc/self/cgroup");
        let own = fs::read_to_string(path).map_err(|e| CgroupError::io("read", path, e))?;
        let mut group = Self {
            dirs: BTreeMap::new(),
            origins: BTreeMap::new(),
            missing: Vec::new(),
        };
        let (v2, v1): (Vec<_>, Vec<_>) = controllers
            .iter()
            .copied()
            .partition(|&c| hierarchies.is_v2(c));
        for controller in v1 {
            let made = hierarchies
                .mount(controller)
                .ok_or(CgroupError::NotMounted { controller })
                .and_then(|mount| {
                    let origin = hierarchies.group_in(&own, controller);
                    let origin = origin.unwrap_or_else(|| mount.into());
                    // What bounds our memory bounds what is started in the new group too.
                    let bounded = controller == Controller::Memory && is_bounded(&origin, mount);
                    let parent = if bounded { &origin } else { mount };
                    group.make(parent.join(name), origin.clone())
                });
            group.record(&[controller], made);
        }
        if let (Some(mount), false) = (hierarchies.mount(Controller::Unified), v2.is_empty()) {
            let origin = hierarchies
                .group_in(&own, Controller::Unified)
                .unwrap_or_else(|| mount.into());
            let made = group.make_v2(name, mount, origin, &v2);
            group.record(&v2, made);
        }
        Ok(group)
    }

    fn record(&mut self, controllers: &[Controller], made: Result<PathBuf, CgroupError>) {
        match made {
            Ok(dir) => self
                .dirs
                .extend(controllers.iter().map(|&c| (c, dir.clone()))),
            Err(error) => {
                // All share the reason; only the first can own it, the others repeat its text.
                let why = error.to_string();
                let mut error = Some(error);
                for &controller in controllers {
                    let error = error.take().unwrap_or_else(|| CgroupError::NotDelegated {
                        wanted: controller.to_string(),
                        why: why.clone(),
                    });
                    self.missing.push((controller, error));
                }
            }
        }
    }

    /// Makes `dir` unless this group has it already (controllers that share a hierarchy).
    fn make(&mut self, dir: PathBuf, origin: PathBuf) -> Result<PathBuf, CgroupError> {
        if self.origins.contains_key(&dir) {
            return Ok(dir);
        }
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(|e| CgroupError::io("make", parent, e))?;
        }
        let made = match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if held(|held| held.contains(&dir)) {
                    return Err(CgroupError::Exists { path: dir });
                }
                // Left by a dead process that had our id; if anything lives in it, it stays.
                fs::remove_dir(&dir).and_then(|()| fs::create_dir(&dir))
            }
            made => made,
        };
        made.map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY | libc::ENOTEMPTY) => CgroupError::Exists { path: dir.clone() },
            _ => CgroupError::io("make", &dir, error),
        })?;
        held(|held| held.insert(dir.clone()));
        self.origins.insert(dir.clone(), origin);
        Ok(dir)
    }

    fn make_v2(
        &mut self,
        name: &str,
        mount: &Path,
        own: PathBuf,
        controllers: &[Controller],
    ) -> Result<PathBuf, CgroupError> {
        let wanted: Vec<&str> = controllers.iter().filter_map(|c| c.v2_name()).collect();
        if controllers.iter().all(|c| c.knows_threads()) {
            let dir = self.make(own.join(name), own.clone())?;
            let enabled = enable(&own, &wanted).or_else(|_| {
                // The caller is in `own`, so its children get controllers only if they are threaded.
                write(&dir.join("cgroup.type"), "threaded")?;
                enable(&own, &wanted)
            });
            if let Err(error) = enabled {
                self.forget(&dir);
                return Err(not_delegated(&wanted, &error));
            }
            return Ok(dir);
        }
        // Memory and I/O: the nearest ancestor that may hand them on. Its own processes forbid it,
        // so the caller's own group will do only where that is the root.
        let mut refused = None;
        for parent in own.ancestors().take_while(|dir| dir.starts_with(mount)) {
            match enable(parent, &wanted) {
                Ok(()) => {
                    // For groups of threads within this one. A session's slice may hold it back, and
                    // who wants it says so then.
                    let _ = enable(parent, &["cpu"]);
                    return self.make(parent.join(name), own.clone());
                }
                Err(error) => refused = Some(error),
            }
        }
        let why = refused.map_or_else(|| "no group above".to_owned(), |e| e.to_string());
        Err(CgroupError::NotDelegated {
            wanted: wanted.join(" "),
            why,
        })
    }

    pub(super) fn forget(&mut self, dir: &Path) {
        let _ = fs::remove_dir(dir);
        held(|held| held.remove(dir));
        self.origins.remove(dir);
    }

    /// Its directory in the hierarchy of `controller`, if it was made for it.
    #[must_use]
    pub fn dir(&self, controller: Controller) -> Option<&Path> {
        self.dirs.get(&controller).map(PathBuf::as_path)
    }

    /// Its directories by controller name, as in [`crate::contract::Scope::cgroups`]; a group in the v2
    /// tree is also there as `unified`.
    #[must_use]
    pub fn dirs(&self) -> BTreeMap<String, PathBuf> {
        let mut dirs: BTreeMap<_, _> = self
            .dirs
            .iter()
            .map(|(c, dir)| (c.to_string(), dir.clone()))
            .collect();
        let v2 = self.distinct().find(|dir| !dir.join("tasks").exists());
        if let Some(dir) = v2 {
            dirs.insert(Controller::Unified.to_string(), dir.to_path_buf());
        }
        dirs
    }

    /// Controllers that could not be had, and why (only after [`Self::create_where_possible`]).
    #[must_use]
    pub fn missing(&self) -> &[(Controller, CgroupError)] {
        &self.missing
    }

    pub(super) fn distinct(&self) -> impl Iterator<Item = &Path> {
        self.origins.keys().map(PathBuf::as_path)
    }

    /// Processes in the group and below it, in any hierarchy, ascending.
    ///
    /// # Errors
    /// The group is gone.
    pub fn processes(&self) -> Result<Vec<i32>, CgroupError> {
        let mut found = Vec::new();
        for dir in self.distinct() {
            found.extend(read::processes(dir)?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes the group and all below it. Tasks still inside move to the parent group, or to where
    /// the maker was.
    ///
    /// # Errors
    /// Something in it cannot be moved or does not end within seconds.
    pub fn remove(mut self) -> Result<(), CgroupError> {
        self.remove_all()
    }

    fn remove_all(&mut self) -> Result<(), CgroupError> {
        let mut outcome = Ok(());
        while let Some((dir, origin)) = self.origins.pop_first() {
            let mut homes = vec![origin.as_path()];
            homes.extend(dir.parent());
            outcome = outcome.and(remove_tree(&dir, &homes));
            held(|held| held.remove(&dir));
        }
        outcome
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = self.remove_all() {
            eprintln!("warning: {error}");
        }
    }
}

fn held<T>(with: impl FnOnce(&mut HashSet<PathBuf>) -> T) -> T {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    with(held.get_or_insert_default())
}

fn check_name(name: &str) -> Result<(), CgroupError> {
    let ours = label::owner(name).is_some();
    let plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if ours && plain && !name.contains('\n') {
        return Ok(());
    }
    Err(CgroupError::Name(name.to_owned()))
}

/// Whether the v1 memory group `dir`, or one above it up to `mount`, has a limit.
fn is_bounded(dir: &Path, mount: &Path) -> bool {
    let within = dir.ancestors().take_while(|dir| dir.starts_with(mount));
    let limit = |dir: &Path| {
        let text = fs::read_to_string(dir.join("memory.limit_in_bytes")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    within
        .filter_map(limit)
        .any(|bytes| bytes < UNBOUNDED_BYTES)
}

/// Hands the v2 controllers `wanted` to the children of `parent`.
fn enable(parent: &Path, wanted: &[&str]) -> Result<(), CgroupError> {
    let file = parent.join("cgroup.subtree_control");
    let have = words(&text(&file)?.unwrap_or_default());
    wanted
        .iter()
        .filter(|&&controller| have.iter().all(|h| h != controller))
        .try_for_each(|controller| write(&file, &format!("+{controller}")))
}

fn not_delegated(wanted: &[&str], error: &CgroupError) -> CgroupError {
    CgroupError::NotDelegated {
        wanted: wanted.join(" "),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_anywhere_above_bounds_a_group() {
        let mount = tempfile::tempdir().expect("a directory");
        let inner = mount.path().join("outer/inner");
        fs::create_dir_all(&inner).expect("made");
        let set = |dir: &Path, text: &str| {
            fs::write(dir.join("memory.limit_in_bytes"), text).expect("written");
        };
        set(mount.path(), "9223372036854771712\n");
        set(&inner, "9223372036854771712\n");
        assert!(!is_bounded(&inner, mount.path()));
        set(&mount.path().join("outer"), "1073741824\n");
        assert!(is_bounded(&inner, mount.path()));
        assert!(!is_bounded(mount.path(), mount.path()));
    }
}
