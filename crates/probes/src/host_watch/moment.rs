//! What the host's counters stand at.

use std::path::PathBuf;

use measure_core::base::clock::now_ns;
use measure_core::contract::Scope;
use measure_core::driver_kit::cgroup::{Controller, Hierarchies};
use nix::time::{ClockId, clock_getres};
use nix::unistd::{SysconfVar, getpid, sysconf};

use super::error::WatchError;
use super::processes::Processes;
use crate::cpu_time::{groups_of_scope, process_cpu_ns};
use crate::host::{CpuTicks, FactError, Host, number_in};
use crate::memory::proc_dir::ProcDir;

const CPU: &str = "/sys/devices/system/cpu";
/// Fewest of the host's CPU time since boot that a group must have to be the one that holds all processes: a
/// container's own root looks the same.
const WHOLE_HOST: f64 = 0.8;

/// Where counters are read, and whose work is our own.
#[derive(Debug)]
pub(super) struct Source {
    host: Host,
    pub(super) scopes: Vec<Scope>,
    pub(super) own: i32,
    proc: Option<ProcDir>,
    /// Counts the CPU time of all tasks in nanoseconds.
    all_tasks: Option<PathBuf>,
    /// Of `USER_HZ`.
    pub(super) tick_ns: u64,
}

/// All counters, as of one moment.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) at_ns: u64,
    pub(super) ticks: Result<CpuTicks, FactError>,
    /// CPU time of all tasks, where nanoseconds are counted.
    pub(super) all_tasks_ns: Option<u64>,
    /// CPU time of the scopes, their clients and this process.
    pub(super) ours_ns: Result<u64, WatchError>,
    pub(super) swapped_pages: Result<u64, FactError>,
    pub(super) throttles: Result<u64, FactError>,
    pub(super) processes: Processes,
}

impl Source {
    pub(super) fn new(host: Host, scopes: &[Scope]) -> Self {
        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
        let ticks = ticks.and_then(|ticks| u64::try_from(ticks).ok());
        let tick_ns = 1_000_000_000 / ticks.filter(|&ticks| ticks > 0).unwrap_or(100);
        let mut source = Self {
            all_tasks: None,
            scopes: scopes.to_vec(),
            own: getpid().as_raw(),
            proc: ProcDir::open().ok(),
            tick_ns,
            host,
        };
        source.all_tasks = source.root_group();
        source
    }

    /// The file in which the root group of cgroup v1 counts, if it is the whole host's.
    fn root_group(&self) -> Option<PathBuf> {
        let hierarchies = Hierarchies::discover().ok()?;
        let mount = hierarchies.mount(Controller::Cpuacct)?;
        let file = self.host.path(mount.to_str()?).join("cpuacct.usage");
        let counted = number_in(&file)? as f64;
        let by_ticks = (self.host.cpu_ticks().ok()?.tasks * self.tick_ns) as f64;
        (counted > WHOLE_HOST * by_ticks).then_some(file)
    }

    /// Right before the block: what takes long comes first.
    pub(super) fn first(&mut self) -> Moment {
        let processes = Processes::read(self.proc.as_mut());
        Moment {
            at_ns: now_ns(),
            ..self.counters(processes)
        }
    }

    /// Right after it: what takes long comes last.
    pub(super) fn last(&mut self) -> Moment {
        let counters = self.counters(Processes::default());
        let processes = Processes::read(self.proc.as_mut());
        Moment {
            ours_ns: counters
                .ours_ns
                .map(|ns| ns + self.ours_by_ticks_ns(&processes)),
            processes,
            ..counters
        }
    }

    fn counters(&self, processes: Processes) -> Moment {
        let by_ticks_ns = self.ours_by_ticks_ns(&processes);
        Moment {
            at_ns: now_ns(),
            ticks: self.host.cpu_ticks(),
            all_tasks_ns: self.all_tasks.as_deref().and_then(number_in),
            ours_ns: self.ours_by_clocks_ns().map(|ns| ns + by_ticks_ns),
            swapped_pages: self.host.swapped_pages(),
            throttles: throttles(&self.host),
            processes,
        }
    }

    /// Of this process, the clients and the scopes' groups.
    fn ours_by_clocks_ns(&self) -> Result<u64, WatchError> {
        let clock = |pid| process_cpu_ns(pid).map_err(|errno| WatchError::Process { pid, errno });
        // A process that is its own scope is in the trees.
        let is_in_trees = self.trees().contains(&self.own);
        let own = (!is_in_trees).then_some(self.own);
        let clients = self.scopes.iter().filter_map(|scope| scope.client);
        let mut sum = 0;
        for pid in clients.chain(own) {
            sum += clock(pid)?;
        }
        for dir in self.scopes.iter().filter_map(groups_of_scope).flatten() {
            sum += crate::cgroup::cpu_ns(dir)?;
        }
        Ok(sum)
    }

    /// The roots of the scopes that have no group that counts.
    fn trees(&self) -> Vec<i32> {
        let without = self.scopes.iter().filter(|s| groups_of_scope(s).is_none());
        without.flat_map(|s| s.roots.iter().copied()).collect()
    }

    fn ours_by_ticks_ns(&self, processes: &Processes) -> u64 {
        processes.tree_ticks(&self.trees()) * self.tick_ns
    }

    /// By how much CPU times between two moments may be off: all tasks' are brought up to date at the scheduler's ticks,
    /// those of `/proc/stat` are three sums of whole ticks, and of each process in the scopes' trees four numbers are
    /// cut to whole ticks at both moments.
    pub(super) fn off_by_ns(&self, cpus: u64, processes: &Processes) -> u64 {
        let cut = 4 * processes.tree_len(&self.trees()) * self.tick_ns;
        cut + match self.all_tasks {
            Some(_) => cpus * scheduler_tick_ns(),
            None => 3 * self.tick_ns,
        }
    }
}

/// The coarse clock ticks as the scheduler does.
fn scheduler_tick_ns() -> u64 {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE);
    tick.map_or(10_000_000, |tick| tick.tv_nsec().unsigned_abs())
}

/// How often CPUs and packages were throttled for heat since boot: each CPU counts its core, all CPUs of a package
/// count the package.
fn throttles(host: &Host) -> Result<u64, FactError> {
    let count = |cpu: usize, of: &str| {
        host.number(&format!(
            "{CPU}/cpu{cpu}/thermal_throttle/{of}_throttle_count"
        ))
    };
    let mut cores = count(0, "core")?;
    let mut packages = count(0, "package").unwrap_or(0);
    for cpu in (1..4096).take_while(|cpu| host.exists(&format!("{CPU}/cpu{cpu}"))) {
        cores += count(cpu, "core").unwrap_or(0);
        packages = packages.max(count(cpu, "package").unwrap_or(0));
    }
    Ok(cores + packages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::made_up;

    #[test]
    fn throttling_is_counted_over_cores_and_once_a_package() {
        let cpu = |cpu, core, package| {
            let dir = format!("{CPU}/cpu{cpu}/thermal_throttle");
            format!("{dir}/core_throttle_count: {core}\n{dir}/package_throttle_count: {package}\n")
        };
        let (_keep, host) = made_up(&(cpu(0, 3, 7) + &cpu(1, 4, 7)));
        assert_eq!(throttles(&host).expect("counted"), 3 + 4 + 7);
        let (_keep, none) = made_up("");
        let why = throttles(&none).expect_err("not counted").to_string();
        assert!(why.contains("thermal_throttle"), "{why}");
    }

    #[test]
    fn a_group_is_the_hosts_only_if_it_has_the_hosts_work() {
        let scopes = [Scope::default()];
        let real = Source::new(Host::real(), &scopes);
        let Some(file) = real.all_tasks else {
            return eprintln!(
                "SKIPPED: a_group_is_the_hosts: no cpuacct of cgroup v1 for the whole host"
            );
        };
        // As in a container: the same file, of a host that has worked far more.
        let (keep, busy) = made_up("/proc/stat: cpu  900000000000 0 0 1 | cpu0 1");
        let there = keep.path().join(file.strip_prefix("/").expect("absolute"));
        std::fs::create_dir_all(there.parent().expect("a directory")).expect("made");
        std::fs::copy(&file, there).expect("copied");
        assert_eq!(Source::new(busy, &scopes).all_tasks, None);
    }
}
