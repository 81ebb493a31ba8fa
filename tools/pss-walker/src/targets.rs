//! Which trees and groups are meant.

use std::path::{Path, PathBuf};

use measure_core::base::ids::nearest;
use measure_core::base::process_tree::process_of;
use measure_core::driver_kit::cgroup::Hierarchies;
use probes::memory::{Sampler, Walk};

use crate::{Options, WalkerError};

/// What to look at, checked to be there.
#[derive(Debug)]
pub(crate) struct Targets {
    pids: Vec<i32>,
    names: Vec<String>,
    groups: Vec<PathBuf>,
}

impl Targets {
    pub fn resolve(options: &Options, sampler: &mut Sampler) -> Result<Self, WalkerError> {
        if options.pids.is_empty() && options.name.is_empty() && options.cgroup.is_empty() {
            return Err(WalkerError::NoTarget);
        }
        for &pid in &options.pids {
            check_process(pid)?;
        }
        for name in &options.name {
            if sampler.find(name).is_empty() {
                let nearest = nearest(name, &sampler.names()).map(str::to_owned);
                return Err(WalkerError::NoName {
                    name: name.clone(),
                    nearest,
                });
            }
        }
        let groups = options.cgroup.iter().map(|path| group(path));
        Ok(Self {
            pids: options.pids.clone(),
            names: options.name.clone(),
            groups: groups.collect::<Result<_, _>>()?,
        })
    }

    /// One pass; names are looked up anew, since a daemon may have been started again.
    pub fn walk(&self, sampler: &mut Sampler) -> Walk {
        let mut roots = self.pids.clone();
        for name in &self.names {
            roots.extend(sampler.find(name));
        }
        let groups: Vec<&Path> = self.groups.iter().map(PathBuf::as_path).collect();
        sampler.sample_trees_and_groups(&roots, &groups)
    }

    /// Whether there will be nothing more to see after `walk`.
    pub fn ended(&self, walk: &Walk) -> bool {
        walk.processes.is_empty()
            && walk.denied == 0
            && self.groups.iter().all(|group| !group.exists())
    }
}

fn check_process(pid: i32) -> Result<(), WalkerError> {
    match process_of(pid) {
        None => Err(WalkerError::NoProcess(pid)),
        Some(process) if process != pid => Err(WalkerError::Thread { pid, process }),
        Some(_) => Ok(()),
    }
}

/// The directory of a group: as given, or below a mounted hierarchy.
fn group(path: &Path) -> Result<PathBuf, WalkerError> {
    let is_group = |dir: &Path| dir.join("cgroup.procs").exists();
    if is_group(path) {
        return Ok(path.to_path_buf());
    }
    let hierarchies = Hierarchies::discover().unwrap_or_default();
    let below = path.strip_prefix("/").unwrap_or(path);
    let found = hierarchies
        .mounts()
        .into_iter()
        .map(|mount| mount.join(below))
        .find(|dir| is_group(dir));
    found.ok_or_else(|| WalkerError::NoGroup {
        path: path.to_owned(),
        mounts: hierarchies
            .mounts()
            .into_iter()
            .map(PathBuf::from)
            .collect(),
    })
}
