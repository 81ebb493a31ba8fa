//! Which hierarchies are mounted where, and where a process is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use procfs::process::MountInfo;

use super::controller::Controller;
use super::error::CgroupError;

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// The group within the hierarchy that is seen at `point` (`/` unless a container was given
    /// part of it).
    root: PathBuf,
    point: PathBuf,
}

/// A hierarchy of either version as it is mounted, whatever it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedHierarchy {
    /// The group within the hierarchy that is seen at `point`.
    root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether it is the v2 tree.
    pub v2: bool,
    /// Mount options, a v1 hierarchy's controllers among them.
    pub options: BTreeSet<String>,
}

impl MountedHierarchy {
    /// Every hierarchy that is mounted here, those without a [`Controller`] (cpuset, devices, named ones)
    /// among them, each once.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn all() -> Result<Vec<Self>, CgroupError> {
        let path = Path::new(MOUNTINFO);
        fs::read_to_string(path)
            .map(|text| Self::parse(&text))
            .map_err(|e| CgroupError::io("read", path, e))
    }

    /// Takes the cgroup mounts out of a mountinfo text; lines of another form are passed over.
    #[must_use]
    pub fn parse(mountinfo: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for line in mountinfo.lines() {
            let Ok(info) = MountInfo::from_line(line) else {
                continue;
            };
            let v2 = info.fs_type == "cgroup2";
            if !v2 && info.fs_type != "cgroup" {
                continue;
            }
            let option = |(key, value): (String, Option<String>)| match value {
                Some(value) => format!("{key}={value}"),
                None => key,
            };
            let options = info.super_options.into_iter().map(option).collect();
            // The first mount wins: later ones are bind mounts of parts, as in containers.
            if !found
                .iter()
                .any(|h| h.v2 == v2 && (v2 || h.options == options))
            {
                found.push(Self {
                    root: unescape(&info.root),
                    point: unescape(&info.mount_point.to_string_lossy()),
                    v2,
                    options,
                });
            }
        }
        found
    }
}

/// The hierarchies that this process sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    v1: BTreeMap<Controller, Mount>,
    v2: Option<Mount>,
    /// Controllers that the v2 tree offers.
    v2_controllers: Vec<String>,
}

impl Hierarchies {
    /// Those that were mounted when this process asked first: a host mounts them when it boots, and a driver asks dozens of times.
    ///
    /// # Errors
    /// `/proc/self/mountinfo` cannot be read: `/proc` is not mounted.
    pub fn discover() -> Result<Self, CgroupError> {
        static FOUND: OnceLock<Hierarchies> = OnceLock::new();
        match FOUND.get() {
            Some(found) => Ok(found.clone()),
            None => {
                let read = Self::read()?;
                Ok(FOUND.get_or_init(|| read).clone())
            }
        }
    }

    fn read() -> Result<Self, CgroupError> {
        let mut found = Self::from_mounted(MountedHierarchy::all()?);
        if let Some(mount) = &found.v2 {
            let offered = fs::read_to_string(mount.point.join("cgroup.controllers"));
            found.v2_controllers = words(&offered.unwrap_or_default());
        }
        Ok(found)
    }

    pub(super) fn from_mounted(mounted: Vec<MountedHierarchy>) -> Self {
        let mut found = Self::default();
        for mounted in mounted {
            let mount = Mount {
                root: mounted.root,
                point: mounted.point,
            };
            if mounted.v2 {
                found.v2 = Some(mount);
                continue;
            }
            for controller in Controller::ALL {
                if mounted.options.contains(controller.name()) {
                    found.v1.entry(controller).or_insert_with(|| mount.clone());
                }
            }
        }
        found
    }

    #[cfg(test)]
    pub(super) fn with_v2_controllers(mut self, controllers: &[&str]) -> Self {
        self.v2_controllers = controllers.iter().map(|&c| c.to_owned()).collect();
        self
    }

    /// Where the hierarchy of `controller` is mounted: its v1 hierarchy, else the v2 tree if that
    /// offers it. `None` if there is neither.
    #[must_use]
    pub fn mount(&self, controller: Controller) -> Option<&Path> {
        self.find(controller).map(|mount| mount.point.as_path())
    }

    /// Whether `controller` is served by the v2 tree here.
    #[must_use]
    pub fn is_v2(&self, controller: Controller) -> bool {
        self.find(controller).is_some() && !self.v1.contains_key(&controller)
    }

    /// Mount points of all hierarchies, each once.
    #[must_use]
    pub fn mounts(&self) -> Vec<&Path> {
        let mut points: Vec<&Path> = Controller::ALL
            .iter()
            .filter_map(|&c| self.mount(c))
            .collect();
        points.sort_unstable();
        points.dedup();
        points
    }

    fn find(&self, controller: Controller) -> Option<&Mount> {
        self.v1.get(&controller).or_else(|| {
            self.v2.as_ref().filter(|_| {
                controller
                    .v2_name()
                    .is_none_or(|name| self.v2_controllers.iter().any(|offered| offered == name))
            })
        })
    }

    /// The directory of the group in which process `pid` is, in the hierarchy of `controller`;
    /// `None` if the hierarchy is not mounted or the group lies outside of what is mounted.
    #[must_use]
    pub fn group_of(&self, pid: i32, controller: Controller) -> Option<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        self.group_in(&text, controller)
    }

    /// The directories of the group of `controller` in which this process is and of those around it, the innermost first, as far as
    /// they are mounted.
    #[must_use]
    pub fn groups_around_us(&self, controller: Controller) -> Vec<PathBuf> {
        let (Some(group), Some(mount)) = (
            self.group_of(nix::unistd::getpid().as_raw(), controller),
            self.mount(controller),
        ) else {
            return Vec::new();
        };
        let within = group.ancestors().take_while(|dir| dir.starts_with(mount));
        within.map(Path::to_owned).collect()
    }

    /// As [`Self::group_of`], from the text of `/proc/PID/cgroup`.
    pub(super) fn group_in(&self, cgroup: &str, controller: Controller) -> Option<PathBuf> {
        let mount = self.find(controller)?;
        let v2 = self.is_v2(controller);
        let group = cgroup.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, names, path) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = if v2 {
                id == "0"
            } else {
                names.split(',').any(|name| name == controller.name())
            };
            ours.then_some(path)
        })?;
        let below = Path::new(group).strip_prefix(&mount.root).ok()?;
        if below.components().any(|c| c == Component::ParentDir) {
            return None;
        }
        Some(if below.as_os_str().is_empty() {
            mount.point.clone()
        } else {
            mount.point.join(below)
        })
    }
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> PathBuf {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|octal| u8::from_str_radix(octal, 8).ok())
            .filter(u8::is_ascii);
        if let Some(code) = code {
            out.push(char::from(code));
            rest = &rest[at + 4..];
        } else {
            out.push('\\');
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
    PathBuf::from(out)
}
