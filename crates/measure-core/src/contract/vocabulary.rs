//! The words of the records: what `measure`, `metric` and the fixed `phase`s of a sample can say.
//! docs/records.md explains each; a test holds the two together.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An enum of words, each spelled once, and `Other` for what a later version may have written.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$means:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$means])* $word,)+
            /// A word that this version does not know; kept as it is, and in no table that needs its meaning.
            Other(String),
        }

        impl $name {
            /// Every word that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word, as in files.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => $text,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($text => Self::$word,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                match word {
                    $name::Other(word) => word,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What was being done when a sample was taken.
    Measure {
        /// The first starts of a driver process, by which the number of starts is chosen.
        Calibrate = "calibrate",
        /// One start of the wall-time pass, of schema 1: one, ten and a hundred in a row alike.
        Start = "start",
        /// One start, asked for after its rung has been idle, by a worker that has not just made one.
        Isolated = "isolated",
        /// One start of a closed loop, after a warm-up.
        BackToBack = "back-to-back",
        /// One request to a handler whose instance has answered one before.
        Request = "request",
        /// A whole batch of the wall-time pass.
        Batch = "batch",
        /// A batch of the CPU pass.
        Cpu = "cpu",
        /// A batch of the disk I/O pass.
        Disk = "disk",
        /// A single start right after the page caches were dropped.
        DropCaches = "drop-caches",
        /// Parked workers.
        Hold = "hold",
        /// A few parked workers, by which the sizes of the sweep are chosen; not in its fit.
        Trial = "trial",
        /// One start beside so many parked workers (`workers`), asked for after a rest.
        OneMore = "one-more",
        /// So many parked workers (`n`), of a ramp that goes on until something gives.
        Capacity = "capacity",
        /// A closed loop of as many workers as the open loops after it have, which are in `load.jsonl`.
        ClosedLoop = "closed-loop",
        /// Whether the rung can run.
        Probe = "probe",
        /// What the host did besides during a block.
        Host = "host",
        /// Of a comparison: a timed run of one program.
        Run = "run",
        /// Of a comparison: an untimed run that shows whether the columns agree.
        Verify = "verify",
    }
}

words! {
    /// What a sample's number is of; the name ends in its [`Unit`].
    Metric {
        /// Of [`Measure::Probe`], never with a number: why the rung cannot run.
        Ready = "ready",
        /// Of [`Measure::Capacity`]: how many workers were parked when the ramp ended; the phase says what gave.
        Resident = "resident",
        /// Of [`Measure::Capacity`]: tasks (processes and threads) of the whole host.
        Tasks = "tasks",
        /// Wall time.
        WallNs = "wall_ns",
        /// Of a handler's start: from asked for until the first byte of its answer.
        FirstByteNs = "first_byte_ns",
        /// Phase [`phase::KERNEL`], by the program's own clock.
        KernelNs = "kernel_ns",
        /// CPU time of the scope.
        CpuNs = "cpu_ns",
        /// CPU time of a command and the children that it waited for, in user mode.
        UserNs = "user_ns",
        /// CPU time of the same, in the kernel.
        SystemNs = "system_ns",
        /// CPU cycles of the scope, user and kernel.
        CpuCycles = "cpu_cycles",
        /// For how long [`Metric::CpuCycles`] were to be counted, over all counters.
        CyclesEnabledNs = "cycles_enabled_ns",
        /// For how long they were; if less, the count is scaled up by the ratio of the two.
        CyclesRunningNs = "cycles_running_ns",
        /// Instructions retired, user and kernel.
        Instructions = "instructions",
        /// Time on a CPU by the clock of perf events, for scopes without an account of their CPU time.
        CpuClockNs = "cpu_clock_ns",
        /// CPU time of the client of an engine, apart from the scope's.
        ClientCpuNs = "client_cpu_ns",
        /// Bytes that the scope fetched from storage.
        ReadBytes = "read_bytes",
        /// Bytes that the scope caused to be sent to storage.
        WriteBytes = "write_bytes",
        /// Page faults, with and without I/O.
        PageFaults = "page_faults",
        /// Page faults without I/O.
        MinorFaults = "minor_faults",
        /// Page faults with I/O.
        MajorFaults = "major_faults",
        /// Switches from one task to another.
        ContextSwitches = "context_switches",
        /// Switches because a task waited.
        VoluntarySwitches = "voluntary_switches",
        /// Switches because others were to run.
        InvoluntarySwitches = "involuntary_switches",
        /// Proportional set size of the whole scope.
        PssBytes = "pss_bytes",
        /// Unique set size of the whole scope.
        UssBytes = "uss_bytes",
        /// Resident set size, shared pages counted once per process.
        RssBytes = "rss_bytes",
        /// Swapped out.
        SwapBytes = "swap_bytes",
        /// Proportional set size of the client, apart from the scope.
        ClientPssBytes = "client_pss_bytes",
        /// Largest sum of proportional set sizes of a command's processes that was seen.
        PeakPssBytes = "peak_pss_bytes",
        /// Largest sum of their resident set sizes that was seen.
        PeakRssBytes = "peak_rss_bytes",
        /// The kernel's own peak of the largest of them.
        LargestProcessRssBytes = "largest_process_rss_bytes",
        /// How many processes the scope has.
        Processes = "processes",
        /// How long the pass over the scope took.
        WalkNs = "walk_ns",
        /// How many passes were made over the scope's life.
        Walks = "walks",
        /// Memory charged to the scope's cgroup, page cache included.
        CgroupBytes = "cgroup_bytes",
        /// The kernel's own peak of it.
        CgroupPeakBytes = "cgroup_peak_bytes",
        /// Page tables of the scope's processes.
        ScopePageTablesBytes = "scope_page_tables_bytes",
        /// The host's MemAvailable.
        MemAvailableBytes = "mem_available_bytes",
        /// The host's page tables.
        PageTablesBytes = "page_tables_bytes",
        /// The host's kernel stacks.
        KernelStacksBytes = "kernel_stacks_bytes",
        /// The host's slabs that are given back under pressure.
        SlabReclaimableBytes = "slab_reclaimable_bytes",
        /// The host's slabs that are not.
        SlabUnreclaimableBytes = "slab_unreclaimable_bytes",
        /// The host's per-CPU areas.
        PercpuBytes = "percpu_bytes",
        /// What the host's kernel allocated with vmalloc.
        VmallocBytes = "vmalloc_bytes",
        /// Of [`Measure::Host`]: the CPU time there was, wall time times CPUs.
        HostCpuNs = "host_cpu_ns",
        /// CPU time of processes that are neither the scope's nor ours.
        OtherCpuNs = "other_cpu_ns",
        /// CPU time of kernel threads, whoever gave them work.
        KernelCpuNs = "kernel_cpu_ns",
        /// CPU time that the hypervisor withheld.
        StealNs = "steal_ns",
        /// Most tasks that were seen ready to run at once.
        RunQueue = "run_queue",
        /// Swapped in and out.
        SwappedBytes = "swapped_bytes",
        /// Frequency of the fastest CPU, when it was lowest.
        LowestFrequencyKhz = "lowest_frequency_khz",
        /// The same when it was highest.
        HighestFrequencyKhz = "highest_frequency_khz",
        /// How often a CPU or package was throttled for heat.
        Throttles = "throttles",
        /// 1 if the block was disturbed, 0 if not; phases say by what.
        Disturbed = "disturbed",
    }
}

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `_ns`.
    Nanoseconds,
    /// `_bytes`.
    Bytes,
    /// Cycles, processes, passes: a plain number.
    Count,
}

impl Metric {
    /// The unit that its name ends in; so one that this version does not know has one too.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self.as_str() {
            name if name.ends_with("_ns") => Unit::Nanoseconds,
            name if name.ends_with("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        }
    }
}

/// The phases that are no rung's own.
pub mod phase {
    /// Spans all others, from asked for to torn down.
    pub const TOTAL: &str = "total";
    /// Of a handler's start or of a request: the one that ends with the first byte of the answer.
    pub const FIRST_BYTE: &str = "first-byte";
    /// Of a handler's start: what of the wait for it to listen may be due to how often that is tried.
    pub const POLL: &str = "poll";
    /// Of a comparison: the kernel alone; `n` is how often it ran.
    pub const KERNEL: &str = "kernel";
    /// Of a comparison: one iteration of a process that makes many; `order` counts them from 0.
    pub const ITERATION: &str = "iteration";
    /// Of a comparison: the process of a Wasm run with its engine, from asked for to reaped; no part of `total`.
    pub const PROCESS: &str = "process";
    /// Of `capacity`: parking the `n` workers that came since the last point.
    pub const PARKING: &str = "parking";
    /// Of `hold`: before the driver was started; of `capacity`: no worker is parked yet.
    pub const BEFORE: &str = "before";
    /// Of `hold`: everything is ready, no worker yet.
    pub const READY: &str = "ready";
    /// Of `hold` and `capacity`: all workers are blocked inside the function.
    pub const PARKED: &str = "parked";
    /// Of `hold` and `capacity`: the drivers have ended.
    pub const AFTER: &str = "after";
    /// Of `hold`: the largest value seen over the scope's whole life.
    pub const PEAK: &str = "peak";
    /// Of `disturbed`: other processes' work.
    pub const OTHER_CPU: &str = "other-cpu";
    /// Of `disturbed`: the hypervisor.
    pub const STEAL: &str = "steal";
    /// Of `disturbed`: the host swapped.
    pub const SWAP: &str = "swap";
    /// Of `disturbed`: the processor became slower.
    pub const FREQUENCY: &str = "frequency";
    /// Of `disturbed`: the block was made again, and its samples do not count.
    pub const REPEATED: &str = "repeated";
    /// Of `disturbed`: the processor was too hot.
    pub const THROTTLING: &str = "throttling";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written_and_an_unknown_one_is_kept() {
        for measure in Measure::ALL {
            let json = serde_json::to_string(measure).expect("a word");
            assert_eq!(json, format!("\"{measure}\""));
            assert_eq!(
                &serde_json::from_str::<Measure>(&json).expect("known"),
                measure
            );
        }
        for metric in Metric::ALL {
            assert_eq!(&Metric::from(metric.to_string()), metric);
        }
        let later: Metric = serde_json::from_str("\"joule_ns\"").expect("read all the same");
        assert_eq!(later, Metric::Other("joule_ns".into()));
        assert_eq!(
            serde_json::to_string(&later).expect("a word"),
            "\"joule_ns\""
        );
        assert_eq!(later.unit(), Unit::Nanoseconds);
    }

    #[test]
    fn units_are_those_of_the_names() {
        assert_eq!(Metric::PssBytes.unit(), Unit::Bytes);
        assert_eq!(Metric::CpuNs.unit(), Unit::Nanoseconds);
        assert_eq!(Metric::Walks.unit(), Unit::Count);
        assert_eq!(Metric::CpuCycles.unit(), Unit::Count);
    }

    /// The first cells of the rows under headings that begin with `| column |`, or all cells of it.
    #[test]
    fn the_page_on_records_explains_every_word_and_no_other() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/records.md");
        let page = fs::read_to_string(page).expect("docs/records.md");
        let quoted = |cell: &str| -> Vec<String> {
            let words = cell.split('`').skip(1).step_by(2);
            words.map(str::to_owned).collect()
        };
        let (mut measures, mut metrics) = (BTreeSet::new(), BTreeSet::new());
        let mut table = "";
        for line in page.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            match cells[..] {
                [_, "measure", ..] => table = "measure",
                [_, "metric", ..] => table = "metric",
                [_, first, .., last, _] if table == "measure" => {
                    measures.extend(quoted(first));
                    metrics.extend(quoted(last));
                }
                [_, first, ..] if table == "metric" => metrics.extend(quoted(first)),
                _ => table = "",
            }
        }
        let known = |words: &[String]| words.iter().cloned().collect::<BTreeSet<_>>();
        let all: Vec<String> = Measure::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(measures, known(&all));
        // The last column of the measures also names measures and phases.
        let all: Vec<String> = Metric::ALL.iter().map(ToString::to_string).collect();
        let missing: Vec<_> = all.iter().filter(|m| !metrics.contains(*m)).collect();
        assert!(missing.is_empty(), "not explained: {missing:?}");
        let unknown: Vec<_> = metrics
            .iter()
            .filter(|word| {
                Metric::from((*word).clone()).unit() != Unit::Count && !all.contains(word)
            })
            .collect();
        assert!(unknown.is_empty(), "explained and not there: {unknown:?}");
    }
}
