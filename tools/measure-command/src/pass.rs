//! The passes: the same command run again and again, each time looked at in another way.

use std::process::ExitStatus;

use super::memory_pass::{self, NoPeak, Peak};
use super::program::{Ended, Program};
use super::report::Report;
use super::{CommandError, Options, Pass, tree};
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::contract::vocabulary::Metric;
use probes::perf::{Count, Counters, Event};

/// What is measured once per run of the wall pass.
type UsageMetric = (Metric, fn(&Ended) -> u64);
const WALL_METRICS: [UsageMetric; 10] = [
    (Metric::WallNs, |e| e.wall_ns),
    (Metric::CpuNs, |e| e.usage.user_ns + e.usage.system_ns),
    (Metric::UserNs, |e| e.usage.user_ns),
    (Metric::SystemNs, |e| e.usage.system_ns),
    (Metric::ReadBytes, |e| e.usage.read_bytes),
    (Metric::WriteBytes, |e| e.usage.write_bytes),
    (Metric::MinorFaults, |e| e.usage.minor_faults),
    (Metric::MajorFaults, |e| e.usage.major_faults),
    (Metric::VoluntarySwitches, |e| e.usage.voluntary_switches),
    (Metric::InvoluntarySwitches, |e| {
        e.usage.involuntary_switches
    }),
];

/// CPU time below which the kernel's division into user and system means little: some ticks of 1 to
/// 10 ms each.
const SPLIT_NS: u64 = 100_000_000;

/// The passes of one command.
pub(super) struct Session<'a> {
    options: &'a Options,
    program: &'a Program,
    warm: bool,
    progress: Line,
    /// What has been measured so far.
    pub(super) report: Report,
}

impl<'a> Session<'a> {
    pub(super) fn new(options: &'a Options, program: &'a Program, report: Report) -> Self {
        Self {
            options,
            program,
            warm: false,
            progress: Line::default(),
            report,
        }
    }

    /// Makes one pass; what it measured before an error or a signal is in the report.
    pub(super) fn run(&mut self, pass: Pass) -> Result<(), CommandError> {
        let outcome = match pass {
            Pass::Wall => self.wall(),
            Pass::Counters => self.counters(),
            Pass::Memory => self.memory(),
        };
        self.progress.clear();
        if tree::reap_orphans() && interrupt::received().is_none() {
            self.report.note(
                "the command left processes running that outlive it: their work is in no number",
            );
        }
        outcome
    }

    /// Between runs only.
    fn show(&mut self, what: &str, number: u32, of: u32) {
        self.progress
            .show_seldom(|| format!("{what} {number}/{of}"));
    }

    /// Unmeasured runs before the first pass.
    fn warm_up(&mut self, pass: Pass) -> Result<(), CommandError> {
        if std::mem::replace(&mut self.warm, true) {
            return Ok(());
        }
        for number in 1..=self.options.warmup {
            if interrupt::received().is_some() {
                break;
            }
            self.show("warm-up", number, self.options.warmup);
            let ended = run_once(self.program)?;
            self.check(pass, format!("{number} (warm-up)"), ended.status)?;
        }
        Ok(())
    }

    fn check(&mut self, pass: Pass, run: String, status: ExitStatus) -> Result<(), CommandError> {
        // Killed by us, on a signal: not the command's failure.
        if status.success() || interrupt::received().is_some() {
            return Ok(());
        }
        self.report.failed(pass, &run, status);
        if self.options.ignore_failure {
            return Ok(());
        }
        Err(CommandError::Failed {
            program: self.options.command[0].to_string_lossy().into_owned(),
            pass: pass.name(),
            run,
            how: status,
        })
    }

    /// Calls `one` for each run of `pass` until an error or a signal; a run that fails or was cut
    /// short is not a measurement.
    fn each_run<T>(
        &mut self,
        pass: Pass,
        mut one: impl FnMut(&Program) -> Result<(ExitStatus, T), CommandError>,
    ) -> (Vec<T>, Result<(), CommandError>) {
        let mut measured = Vec::with_capacity(self.options.runs as usize);
        let outcome = self.warm_up(pass).and_then(|()| {
            for number in 1..=self.options.runs {
                if interrupt::received().is_some() {
                    break;
                }
                self.show(pass.name(), number, self.options.runs);
                let (status, value) = one(self.program)?;
                if interrupt::received().is_some() {
                    break;
                }
                self.check(pass, number.to_string(), status)?;
                measured.push(value);
            }
            Ok(())
        });
        (measured, outcome)
    }

    fn wall(&mut self) -> Result<(), CommandError> {
        let (runs, outcome) = self.each_run(Pass::Wall, |program| {
            let ended = run_once(program)?;
            Ok((ended.status, ended))
        });
        for (metric, value) in WALL_METRICS {
            let values = runs.iter().map(value).collect();
            self.report.add(metric, Pass::Wall, values, None);
        }
        if runs
            .iter()
            .any(|run| run.usage.user_ns + run.usage.system_ns < SPLIT_NS)
        {
            self.report.note(
                "user and system CPU time: the kernel splits the CPU time by its clock ticks, so for a command this short only their sum is right",
            );
        }
        outcome
    }

    fn counters(&mut self) -> Result<(), CommandError> {
        let events = [Event::Cycles, Event::Instructions];
        let mut counters = Counters::of_next_child(&events);
        let nothing: Vec<Count> = counters.take();
        if nothing.iter().all(|count| count.value.is_err()) {
            // No reason to run the command only to learn the same again.
            self.add_counts(&events, &[nothing]);
            return Ok(());
        }
        let (runs, outcome) = self.each_run(Pass::Counters, |program| {
            counters.take();
            let ended = run_once(program)?;
            Ok((ended.status, counters.take()))
        });
        self.add_counts(&events, &runs);
        outcome
    }

    fn add_counts(&mut self, events: &[Event], runs: &[Vec<Count>]) {
        for (index, event) in events.iter().enumerate() {
            let counts = || runs.iter().filter_map(|counts| counts.get(index));
            let values: Vec<u64> = counts().filter_map(|c| c.value.clone().ok()).collect();
            let why = counts().find_map(|c| c.value.as_ref().err());
            if let Some(least) = counts()
                .filter(|c| c.value.is_ok())
                .map(Count::coverage)
                .min_by(f64::total_cmp)
                .filter(|&least| least < 0.995)
            {
                self.report.note(format!(
                    "{event} is scaled up: it was counted {:.0} % of the time at least",
                    100.0 * least
                ));
            }
            let why = why.map(ToString::to_string);
            self.report.add(event.metric(), Pass::Counters, values, why);
        }
    }

    fn memory(&mut self) -> Result<(), CommandError> {
        let (runs, outcome) = self.each_run(Pass::Memory, memory_pass::run);
        type Of = fn(&Peak) -> &Result<u64, NoPeak>;
        let metrics: [(Metric, Of); 3] = [
            (Metric::PeakPssBytes, |peak| &peak.pss_bytes),
            (Metric::PeakRssBytes, |peak| &peak.rss_bytes),
            (Metric::LargestProcessRssBytes, |peak| {
                &peak.process_rss_bytes
            }),
        ];
        for (metric, of) in metrics {
            let values = runs.iter().filter_map(|run| of(run).as_ref().ok().copied());
            let why = runs.iter().find_map(|run| of(run).as_ref().err());
            let why = why.map(ToString::to_string);
            self.report.add(metric, Pass::Memory, values.collect(), why);
        }
        self.report.memory_notes(&runs);
        outcome
    }
}

fn run_once(program: &Program) -> Result<Ended, CommandError> {
    let ended = program.run_noting(tree::started);
    tree::ended();
    Ok(ended?)
}
