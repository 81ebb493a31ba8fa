//! Hardware and software counters over a process tree or a cgroup, or why there are none.
//!
//! Each event has descriptors and a fate of its own: where a machine has no hardware counter, its
//! software events still count and the hardware ones say why not. Nothing stands in for another.
//! User and kernel work is counted, because a cold start is mostly the kernel's.

mod error;
mod event;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use perf_event::{Builder, Counter};

pub use error::PerfError;
pub use event::Event;

use measure_core::contract::Scope;

/// One event's count, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    pub event: Event,
    /// How often it happened, scaled up by enabled/running where counters took turns.
    pub value: Result<u64, PerfError>,
    /// For how long it was to be counted, over all descriptors.
    pub enabled_ns: u64,
    /// For how long it was: less where more events were asked for than there are counters.
    pub running_ns: u64,
}

impl Count {
    /// Share of the time that it was really counted.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        if self.enabled_ns == 0 {
            return 1.0;
        }
        self.running_ns as f64 / self.enabled_ns as f64
    }

    /// Whether the value is an estimate: scaled up for the time that it was not counted.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        self.running_ns < self.enabled_ns
    }
}

/// Counters of one scope.
#[derive(Debug)]
pub struct Counters {
    events: Vec<(Event, Result<Vec<Descriptor>, PerfError>)>,
    includes: String,
}

/// One open counter and what it stood at when last taken.
#[derive(Debug)]
struct Descriptor {
    counter: Counter,
    seen: Reading,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    count: u64,
    enabled_ns: u64,
    running_ns: u64,
}

impl Counters {
    /// Counts the next programs that the calling thread starts, from their `exec` on, with all
    /// their descendants. Counting begins in the child's exec by itself, so nothing needs to be
    /// held back or told to go; a forked child that does not exec is not counted.
    #[must_use]
    pub fn of_next_child(events: &[Event]) -> Self {
        Self::open(events, "children of this thread from exec on", |event| {
            let mut builder = event.builder();
            // This thread itself never execs, so its own counter stays disabled; children inherit
            // a disabled copy each, which their exec enables. Closed on exec by the library.
            builder.observe_self().inherit(true).enable_on_exec(true);
            Ok(vec![Descriptor::open(&builder, event)?])
        })
    }

    /// Counts everything that runs in the cgroup2 directory `dir` and below it, from now on.
    #[must_use]
    pub fn of_cgroup(dir: &Path, events: &[Event]) -> Self {
        Self::of_cgroups(&[dir], events)
    }

    /// As [`Self::of_cgroup`], over several of which none lies within another.
    #[must_use]
    pub fn of_cgroups(dirs: &[&Path], events: &[Event]) -> Self {
        let names: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let includes = format!("cgroup {}", names.join(", "));
        let cpus = online_cpus();
        Self::open(events, &includes, |event| {
            let mut open = Vec::new();
            for dir in dirs {
                let group = File::open(dir).map_err(|e| PerfError::cgroup(dir, &e))?;
                // The kernel counts a cgroup per CPU: one descriptor each, summed.
                for &cpu in &cpus {
                    let mut builder = event.builder();
                    builder.observe_cgroup(&group).one_cpu(cpu).enabled(true);
                    open.push(Descriptor::open(&builder, event).map_err(|e| e.in_cgroup(dir))?);
                }
            }
            Ok(open)
        })
    }

    /// Counts the processes that exist below `roots`, with everything that they start, from now on.
    /// Threads that begin or end while it attaches may be missed: attach while they are idle.
    #[must_use]
    pub fn of_trees(roots: &[i32], events: &[Event]) -> Self {
        let includes = format!("processes below {roots:?}");
        let threads = threads_of(&measure_core::base::process_tree::processes_below(roots));
        Self::open(events, &includes, |event| {
            let mut open = Vec::new();
            for &thread in &threads {
                let mut builder = event.builder();
                builder.observe_pid(thread).inherit(true).enabled(true);
                match Descriptor::open(&builder, event) {
                    Ok(descriptor) => open.push(descriptor),
                    Err(PerfError::Gone { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if open.is_empty() {
                return Err(PerfError::Gone { event });
            }
            Ok(open)
        })
    }

    /// Counts a driver's scope: its cgroup2 groups if each of its groups is one (that holds exited processes and
    /// foreign children too), else its process trees.
    #[must_use]
    pub fn of_scope(scope: &Scope, events: &[Event]) -> Self {
        let dirs = scope.groups().map(|group| group.get("unified"));
        let dirs: Option<Vec<&Path>> = dirs.map(|dir| dir.map(PathBuf::as_path)).collect();
        match dirs.unwrap_or_default().as_slice() {
            [] => Self::of_trees(&scope.roots, events),
            dirs => Self::of_cgroups(dirs, events),
        }
    }

    fn open(
        events: &[Event],
        includes: &str,
        open: impl Fn(Event) -> Result<Vec<Descriptor>, PerfError>,
    ) -> Self {
        Self {
            events: events.iter().map(|&event| (event, open(event))).collect(),
            includes: includes.to_owned(),
        }
    }

    /// In words, for the records: whose events are counted.
    #[must_use]
    pub fn includes(&self) -> &str {
        &self.includes
    }

    /// What has been counted since the last call, or since the counters were opened, in the order of
    /// the events asked for. Descendants that still run are included.
    pub fn take(&mut self) -> Vec<Count> {
        self.events
            .iter_mut()
            .map(|(event, open)| match open {
                Ok(descriptors) => take_sum(*event, descriptors),
                Err(error) => Count {
                    event: *event,
                    value: Err(error.clone()),
                    enabled_ns: 0,
                    running_ns: 0,
                },
            })
            .collect()
    }
}

impl Descriptor {
    fn open(builder: &Builder<'_>, event: Event) -> Result<Self, PerfError> {
        let mut descriptor = Self {
            counter: builder.build().map_err(|e| PerfError::open(event, &e))?,
            seen: Reading::default(),
        };
        descriptor.seen = descriptor.read().map_err(|e| PerfError::read(event, &e))?;
        Ok(descriptor)
    }

    fn read(&mut self) -> std::io::Result<Reading> {
        let read = self.counter.read_count_and_time()?;
        Ok(Reading {
            count: read.count,
            enabled_ns: read.time_enabled,
            running_ns: read.time_running,
        })
    }
}

fn take_sum(event: Event, descriptors: &mut [Descriptor]) -> Count {
    let news = descriptors.iter_mut().map(|descriptor| {
        let now = descriptor.read().map_err(|e| PerfError::read(event, &e))?;
        Ok(now.since(std::mem::replace(&mut descriptor.seen, now)))
    });
    sum(event, news)
}

/// Each reading is scaled by its own times: CPUs and threads take turns apart.
fn sum(event: Event, news: impl Iterator<Item = Result<Reading, PerfError>>) -> Count {
    let mut count = Count {
        event,
        value: Ok(0),
        enabled_ns: 0,
        running_ns: 0,
    };
    for new in news {
        let scaled = new.and_then(|new| {
            count.enabled_ns += new.enabled_ns;
            count.running_ns += new.running_ns;
            new.scaled().ok_or(PerfError::NeverRan { event })
        });
        count.value = match (count.value, scaled) {
            (Ok(sum), Ok(more)) => Ok(sum.saturating_add(more)),
            (_, Err(error)) | (Err(error), _) => Err(error),
        };
    }
    count
}

impl Reading {
    fn since(self, earlier: Self) -> Self {
        Self {
            count: self.count.saturating_sub(earlier.count),
            enabled_ns: self.enabled_ns.saturating_sub(earlier.enabled_ns),
            running_ns: self.running_ns.saturating_sub(earlier.running_ns),
        }
    }

    /// count x enabled / running, as perf_event_open(2) says; `None` if the counter was enabled and
    /// never ran. Not enabled at all (a CPU that the cgroup never used) is an honest zero.
    fn scaled(self) -> Option<u64> {
        if self.running_ns == 0 {
            return (self.enabled_ns == 0 || self.count > 0).then_some(self.count);
        }
        let scaled = u128::from(self.count) * u128::from(self.enabled_ns.max(self.running_ns))
            / u128::from(self.running_ns);
        Some(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

/// CPUs that are online, from the kernel's list such as `0-3,5`; at least CPU 0.
fn online_cpus() -> Vec<usize> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = parse_cpu_list(&text);
    if cpus.is_empty() {
        let known = std::thread::available_parallelism().map_or(1, usize::from);
        return (0..known).collect();
    }
    cpus
}

pub(crate) fn parse_cpu_list(text: &str) -> Vec<usize> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',') {
        let range = match part.split_once('-') {
            Some((from, to)) => number(from).zip(number(to)),
            None => number(part).map(|cpu| (cpu, cpu)),
        };
        if let Some((from, to)) = range {
            cpus.extend((from..=to).take(4096));
        }
    }
    cpus.into_iter().collect()
}

fn threads_of(processes: &[i32]) -> Vec<i32> {
    processes
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok())
        .flat_map(|tasks| tasks.flatten())
        .filter_map(|task| task.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests;
