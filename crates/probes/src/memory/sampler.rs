//! One pass over the processes of a scope, as often as wanted.

use std::path::Path;

use super::proc_dir::{ProcDir, pids};
use super::reading::{AddressRange, Reading, read, read_all};
use super::task::Task;
use super::tasks::Source;
use super::{Memory, MemoryError, ProcessMemory, Walk, vm};
use measure_core::base::clock::now_ns;
use measure_core::base::process_tree::{Scratch, descendants};
use measure_core::contract::Scope;
use measure_core::driver_kit::cgroup;

/// Reads memory again and again without opening or allocating anew what can be kept.
#[derive(Debug)]
pub struct Sampler {
    /// One per thread; the first looks up tasks too.
    readers: Vec<ProcDir>,
    source: Source,
    pids: Vec<i32>,
    tasks: Vec<Task>,
    scratch: Scratch,
    /// Per task, the address range it was read with.
    ranges: Vec<AddressRange>,
}

impl Sampler {
    /// Opens `/proc` and, where permitted, the socket that tells parents and names fastest.
    ///
    /// # Errors
    /// No `/proc`, or a kernel without `smaps_rollup`.
    pub fn new() -> Result<Self, MemoryError> {
        Self::with_source(Source::best())
    }

    /// One that finds parents and names by `/proc/PID/stat` even where the socket would do.
    ///
    /// # Errors
    /// As [`Sampler::new`].
    pub fn by_stat() -> Result<Self, MemoryError> {
        Self::with_source(Source::Stat)
    }

    pub(super) fn with_source(source: Source) -> Result<Self, MemoryError> {
        let mut proc = ProcDir::open()?;
        let me = nix::unistd::getpid().as_raw();
        proc.read(me, "smaps_rollup")
            .map_err(MemoryError::NoRollup)?;
        Ok(Self {
            readers: vec![proc],
            source,
            pids: Vec::new(),
            tasks: Vec::new(),
            scratch: Scratch::default(),
            ranges: Vec::new(),
        })
    }

    /// Reads with up to `threads` threads: a shorter pass for more CPUs. One unless asked for, so that
    /// sampling takes no second CPU from what is being measured.
    ///
    /// # Errors
    /// No descriptors left for `/proc`.
    pub fn with_threads(mut self, threads: usize) -> Result<Self, MemoryError> {
        while self.readers.len() < threads {
            self.readers.push(ProcDir::open()?);
        }
        self.readers.truncate(threads.max(1));
        Ok(self)
    }

    /// How parents and names are found: `taskstats` or `stat`.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self.source {
            Source::Taskstats(_) => "taskstats",
            Source::Stat => "stat",
        }
    }

    /// Reads the trees below the scope's roots and the processes in its cgroups, each process once,
    /// and its client apart.
    pub fn sample_scope(&mut self, scope: &Scope) -> Walk {
        let mut walk = Walk::beginning();
        // A group has the same processes in each hierarchy; one will do, if it can be read.
        let dirs = scope
            .groups()
            .map(|group| group.values().map(|dir| dir.as_path()));
        let members = group_members(dirs, &mut walk);
        self.sample(walk, &scope.roots, members, scope.starters, scope.client)
    }

    /// Reads the trees below `roots`.
    pub fn sample_trees(&mut self, roots: &[i32]) -> Walk {
        self.sample(Walk::beginning(), roots, Vec::new(), false, None)
    }

    /// Reads the trees below `roots` and the processes in all of `groups` and below them.
    pub fn sample_trees_and_groups(&mut self, roots: &[i32], groups: &[&Path]) -> Walk {
        let mut walk = Walk::beginning();
        let members = group_members(groups.iter().map(|dir| [*dir]), &mut walk);
        self.sample(walk, roots, members, false, None)
    }

    /// Reads process `pid` alone.
    ///
    /// # Errors
    /// It is gone, has no memory of its own, or may not be read.
    pub fn of_process(&mut self, pid: i32) -> Result<Memory, MemoryError> {
        match read(&mut self.readers[0], pid) {
            Reading::Memory(memory, _) => Ok(memory),
            Reading::Vanished => Err(MemoryError::Gone(pid)),
            Reading::WithoutMemory => Err(MemoryError::WithoutMemory(pid)),
            Reading::Denied => Err(MemoryError::Denied(pid)),
            Reading::Unreadable(why) => Err(MemoryError::Unreadable { pid, why }),
        }
    }

    /// Processes now called `name`, by the kernel's name of them (its first 15 bytes) or by the file
    /// name of their executable; ascending.
    pub fn find(&mut self, name: &str) -> Vec<i32> {
        self.scan();
        let by_exe = |pid: i32| {
            std::fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|exe| exe.file_name().is_some_and(|file| file == name))
        };
        self.tasks
            .iter()
            .filter(|task| task.comm.is(name) || by_exe(task.pid))
            .map(|task| task.pid)
            .collect()
    }

    /// Names of all processes, ascending, each once.
    pub fn names(&mut self) -> Vec<String> {
        self.scan();
        let mut names: Vec<String> = self.tasks.iter().map(|t| t.comm.to_string()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn sample(
        &mut self,
        mut walk: Walk,
        roots: &[i32],
        mut members: Vec<i32>,
        starters: bool,
        client: Option<i32>,
    ) -> Walk {
        if roots.is_empty() && !starters {
            self.pids.clone_from(&members);
            self.pids.extend(client);
            self.source
                .look_up(&mut self.readers[0], &self.pids, &mut self.tasks);
        } else {
            self.scan();
        }
        if starters {
            self.add_starters(&mut members);
        }
        let mut found = self.in_trees(roots, &mut walk);
        // `scratch` now marks what the trees hold; group members outside of them follow.
        members.retain(|pid| match self.index(*pid) {
            Some(index) if self.scratch.mark(index) => {
                found.push(index);
                true
            }
            _ => false,
        });
        let client = client.and_then(|pid| self.index(pid));
        found.retain(|&index| Some(index) != client);
        found.extend(client);
        self.pids.clear();
        self.pids
            .extend(found.iter().map(|&index| self.tasks[index].pid));
        walk.found_ns = now_ns();
        let readings = read_all(&mut self.readers, &self.pids);
        walk.end_ns = now_ns();
        self.ranges.clear();
        self.ranges.resize(self.tasks.len(), None);
        walk.processes.reserve_exact(found.len());
        for (index, reading) in found.into_iter().zip(readings) {
            let process = self.account(index, reading, &mut walk);
            if Some(index) == client {
                walk.client = process;
            } else {
                walk.processes.extend(process);
            }
        }
        walk
    }

    /// Looks up every process of the host.
    fn scan(&mut self) {
        // `/proc` was there when the sampler was made; should it be gone, no process is found.
        let _ = pids(&mut self.pids);
        self.source
            .look_up(&mut self.readers[0], &self.pids, &mut self.tasks);
    }

    fn index(&self, pid: i32) -> Option<usize> {
        self.tasks.binary_search_by_key(&pid, |task| task.pid).ok()
    }

    /// Adds the parents of `members`, but for init.
    fn add_starters(&self, members: &mut Vec<i32>) {
        let parent = |pid: &i32| Some(self.tasks[self.index(*pid)?].ppid);
        let parents: Vec<i32> = members.iter().filter_map(parent).collect();
        members.extend(parents.into_iter().filter(|&pid| pid > 1));
        members.sort_unstable();
        members.dedup();
    }

    fn in_trees(&mut self, roots: &[i32], walk: &mut Walk) -> Vec<usize> {
        let missing = roots
            .iter()
            .copied()
            .filter(|&root| self.index(root).is_none());
        walk.missing_roots = missing.collect();
        let ids = |task: &Task| (task.pid, task.ppid);
        descendants(&self.tasks, ids, roots, &mut self.scratch)
    }

    /// Puts the reading of the task at `index` into the walk's counts.
    fn account(
        &mut self,
        index: usize,
        reading: Reading,
        walk: &mut Walk,
    ) -> Option<ProcessMemory> {
        let task = self.tasks[index];
        match reading {
            Reading::Memory(memory, range) => {
                self.ranges[index] = range;
                if range.is_some() && self.in_parents_address_space(task, range) {
                    walk.sharing += 1;
                    return None;
                }
                return Some(ProcessMemory {
                    pid: task.pid,
                    ppid: task.ppid,
                    name: task.comm,
                    memory,
                });
            }
            Reading::Vanished => walk.vanished += 1,
            Reading::WithoutMemory => walk.without_memory += 1,
            Reading::Denied => {
                walk.denied += 1;
                walk.reason(
                    "processes of other users may not be read, run as root (CAP_SYS_PTRACE)".into(),
                );
            }
            Reading::Unreadable(why) => {
                walk.denied += 1;
                walk.reason(format!("smaps_rollup of {}: {why}", task.comm));
            }
        }
        None
    }

    /// Whether the parent was read in this walk and `task` runs in its address space. A fork has its
    /// parent's range too, hence the second question to the kernel.
    fn in_parents_address_space(&self, task: Task, range: AddressRange) -> bool {
        self.index(task.ppid)
            .is_some_and(|parent| self.ranges[parent] == range && vm::shared(task.pid, task.ppid))
    }
}

/// The processes of each of `groups`, by the first of its directories that can be read.
fn group_members<'a>(
    groups: impl Iterator<Item = impl IntoIterator<Item = &'a Path>>,
    walk: &mut Walk,
) -> Vec<i32> {
    let mut members = Vec::new();
    for dirs in groups {
        let mut refused = Vec::new();
        let found = dirs.into_iter().find_map(|dir| {
            let found = cgroup::processes(dir);
            found.map_err(|error| refused.push(error.to_string())).ok()
        });
        match found {
            Some(found) => members.extend(found),
            None => refused.into_iter().for_each(|why| walk.reason(why)),
        }
    }
    members.sort_unstable();
    members.dedup();
    members
}
