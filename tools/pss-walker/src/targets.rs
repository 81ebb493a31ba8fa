//! Which trees and groups are meant.

use std::fs;
use std::path::{Path, PathBuf};

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
                return Err(no_such_name(name, &sampler.names()));
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
    let missing = |text| Err(WalkerError::Missing(text));
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return missing(format!(
            "no process {pid}: it has ended, or is of another pid namespace"
        ));
    };
    // /proc/TID is there for every thread, but not listed.
    let process = status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<i32>().ok());
    match process {
        Some(process) if process != pid => missing(format!(
            "{pid} is a thread of process {process}: memory belongs to the process, walk {process}"
        )),
        _ => Ok(()),
    }
}

fn no_such_name(name: &str, names: &[String]) -> WalkerError {
    let nearest = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
        .map_or_else(String::new, |(_, known)| {
            format!(", did you mean `{known}`?")
        });
    WalkerError::Missing(format!("no process is called `{name}`{nearest}"))
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
    found.ok_or_else(|| {
        let mounts: Vec<String> = hierarchies
            .mounts()
            .iter()
            .map(|mount| mount.display().to_string())
            .collect();
        WalkerError::Missing(format!(
            "{} is no cgroup: it has no cgroup.procs, here or below {}",
            path.display(),
            if mounts.is_empty() {
                "any mounted hierarchy (there is none)".to_owned()
            } else {
                mounts.join(", ")
            }
        ))
    })
}
