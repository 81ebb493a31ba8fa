//! The passes: the same commands run again and again, each time looked at in another way.

use std::fmt;
use std::process::ExitStatus;

use super::left::Left;
use super::memory_pass::{self, NoPeak, Peak};
use super::program::{Ended, Program};
use super::report::{CommandReport, Report};
use super::task::{Aside, Task};
use super::{CommandError, Options, Pass, tree};
use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::contract::vocabulary::Metric;
use probes::perf::{Count, Counters, Event};
use stats::schedule::SplitMix64;

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

/// A run, as messages call it.
#[derive(Debug, Clone, Copy)]
enum Run {
    WarmUp(u32),
    Measured(u32),
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WarmUp(number) => write!(f, "{number} (warm-up)"),
            Self::Measured(number) => write!(f, "{number}"),
        }
    }
}

/// What one kind of pass measured: the values of each task of a group, in its order.
type OfEach<T> = Vec<Vec<T>>;

/// The passes of all commands.
pub(super) struct Session<'a> {
    options: &'a Options,
    tasks: &'a [Task],
    /// Draws in which order tasks take turns.
    random: SplitMix64,
    progress: Line,
    /// What has been measured so far.
    pub(super) report: Report,
}

impl<'a> Session<'a> {
    pub(super) fn new(options: &'a Options, tasks: &'a [Task], report: Report) -> Self {
        Self {
            options,
            tasks,
            random: SplitMix64::new(options.seed),
            progress: Line::default(),
            report,
        }
    }

    /// Makes all passes of the tasks of `group`, which take turns; calls `keep` after each. What was measured before an error
    /// or a signal is in the report, and what was set up is cleaned up.
    pub(super) fn measure(
        &mut self,
        group: &[usize],
        keep: impl Fn(&Report) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let mut outcome = self.set_up(group);
        let mut warm = false;
        for pass in Pass::ALL {
            if outcome.is_ok()
                && self.options.passes.contains(&pass)
                && interrupt::received().is_none()
            {
                outcome = self.run(pass, group, &mut warm);
                outcome = outcome.and(keep(&self.report));
            }
        }
        if interrupt::received().is_some() {
            tree::end_all();
        }
        outcome.and(self.clean_up(group))
    }

    fn set_up(&self, group: &[usize]) -> Result<(), CommandError> {
        for setup in group
            .iter()
            .filter_map(|&task| self.tasks[task].setup.as_ref())
        {
            if interrupt::received().is_none() {
                run_aside(setup)?;
            }
        }
        Ok(())
    }

    /// All of them, and then the first error; a signal does not end them, a second one ends us.
    fn clean_up(&self, group: &[usize]) -> Result<(), CommandError> {
        let cleanups = group
            .iter()
            .filter_map(|&task| self.tasks[task].cleanup.as_ref());
        let mut outcome = Ok(());
        for cleanup in cleanups {
            let ended = cleanup.program.run().map_err(CommandError::from);
            outcome = outcome.and(ended.and_then(|ended| cleanup.check(ended.status)));
        }
        outcome
    }

    fn run(&mut self, pass: Pass, group: &[usize], warm: &mut bool) -> Result<(), CommandError> {
        let warmed = match std::mem::replace(warm, true) {
            true => Ok(()),
            false => self.warm_up(pass, group),
        };
        log::debug!("pass {} of {} command(s)", pass.name(), group.len());
        let outcome = warmed.and_then(|()| match pass {
            Pass::Wall => self.wall(group),
            Pass::Counters => self.counters(group),
            Pass::Memory => self.memory(group),
        });
        self.progress.clear();
        if tree::reap_orphans() && interrupt::received().is_none() {
            for &task in group {
                self.report.commands[task].note(
                    "the command left processes running that outlive it: their work is in no number",
                );
            }
        }
        outcome
    }

    /// Between runs only.
    fn show(&mut self, what: &str, task: usize, number: u32, of: u32, left: &Left) {
        let tasks = self.tasks;
        self.progress.show_seldom(|| {
            let name = match tasks {
                [_] => String::new(),
                tasks => format!(": {}", tasks[task].label),
            };
            format!("{what} {number}/{of}{left}{name}")
        });
    }

    /// Unmeasured runs before the first pass.
    fn warm_up(&mut self, pass: Pass, group: &[usize]) -> Result<(), CommandError> {
        let of = self.options.warmup;
        let mut left = Left::begin(of, group.len());
        for number in 1..=of {
            for &task in group {
                self.show("warm-up", task, number, of, &left);
                self.prepare(task)?;
                if interrupt::received().is_some() {
                    return Ok(());
                }
                let ended = run_once(&self.tasks[task].program)?;
                self.conclude(task)?;
                self.check(task, pass, Run::WarmUp(number), ended.status)?;
                left.done += 1;
            }
        }
        Ok(())
    }

    fn prepare(&self, task: usize) -> Result<(), CommandError> {
        self.tasks[task].prepare.as_ref().map_or(Ok(()), run_aside)
    }

    fn conclude(&self, task: usize) -> Result<(), CommandError> {
        let conclude = &self.tasks[task].conclude;
        conclude.as_ref().map_or(Ok(()), run_aside)
    }

    fn check(
        &mut self,
        task: usize,
        pass: Pass,
        run: Run,
        status: ExitStatus,
    ) -> Result<(), CommandError> {
        // Killed by us, on a signal: not the command's failure.
        if status.success() || interrupt::received().is_some() {
            return Ok(());
        }
        self.report.commands[task].failed(pass, run.to_string(), status);
        if self.options.ignores(status) {
            return Ok(());
        }
        Err(CommandError::Failed {
            program: self.tasks[task].label.clone(),
            pass: pass.name(),
            run: run.to_string(),
            how: status,
        })
    }

    /// Calls `one` for each run of `pass` until an error or a signal; in each round every task of the group has a run, in
    /// random order. A run that was cut short is not a measurement, and one that fails only under `--ignore-failure`.
    fn each_run<T>(
        &mut self,
        pass: Pass,
        group: &[usize],
        mut one: impl FnMut(&Program) -> Result<(ExitStatus, T), CommandError>,
    ) -> (OfEach<T>, Result<(), CommandError>) {
        let mut measured: OfEach<T> = group.iter().map(|_| Vec::new()).collect();
        let outcome = self.rounds(pass, group, &mut one, &mut measured);
        (measured, outcome)
    }

    fn rounds<T>(
        &mut self,
        pass: Pass,
        group: &[usize],
        one: &mut impl FnMut(&Program) -> Result<(ExitStatus, T), CommandError>,
        measured: &mut OfEach<T>,
    ) -> Result<(), CommandError> {
        let (tasks, of) = (self.tasks, self.options.runs());
        let mut order: Vec<usize> = (0..group.len()).collect();
        let mut left = Left::begin(of, group.len());
        for number in 1..=of {
            self.random.shuffle(&mut order);
            for &position in &order {
                let task = group[position];
                self.show(pass.name(), task, number, of, &left);
                self.prepare(task)?;
                if interrupt::received().is_some() {
                    return Ok(());
                }
                let (status, value) = one(&tasks[task].program)?;
                if interrupt::received().is_some() {
                    return Ok(());
                }
                self.conclude(task)?;
                self.check(task, pass, Run::Measured(number), status)?;
                measured[position].push(value);
                left.done += 1;
            }
        }
        Ok(())
    }

    fn wall(&mut self, group: &[usize]) -> Result<(), CommandError> {
        let (measured, outcome) = self.each_run(Pass::Wall, group, |program| {
            let ended = run_once(program)?;
            Ok((ended.status, ended))
        });
        for (runs, &task) in measured.iter().zip(group) {
            let report = &mut self.report.commands[task];
            for (metric, value) in WALL_METRICS {
                let values = runs.iter().map(value).collect();
                report.add(metric, Pass::Wall, values, None);
            }
            report.exit_codes = runs.iter().map(|run| run.status.code()).collect();
            if runs
                .iter()
                .any(|run| run.usage.user_ns + run.usage.system_ns < SPLIT_NS)
            {
                report.note(
                    "user and system CPU time: the kernel splits the CPU time by its clock ticks, so for a command this short only their sum is right",
                );
            }
        }
        outcome
    }

    fn counters(&mut self, group: &[usize]) -> Result<(), CommandError> {
        let events = [Event::Cycles, Event::Instructions];
        let mut counters = Counters::of_next_child(&events);
        let nothing: Vec<Count> = counters.take();
        if nothing.iter().all(|count| count.value.is_err()) {
            // No reason to run the command only to learn the same again.
            for &task in group {
                add_counts(
                    &mut self.report.commands[task],
                    &events,
                    std::slice::from_ref(&nothing),
                );
            }
            return Ok(());
        }
        let (measured, outcome) = self.each_run(Pass::Counters, group, |program| {
            counters.take();
            let ended = run_once(program)?;
            Ok((ended.status, counters.take()))
        });
        for (runs, &task) in measured.iter().zip(group) {
            add_counts(&mut self.report.commands[task], &events, runs);
        }
        outcome
    }

    fn memory(&mut self, group: &[usize]) -> Result<(), CommandError> {
        let (measured, outcome) = self.each_run(Pass::Memory, group, memory_pass::run);
        type Which = fn(&Peak) -> &Result<u64, NoPeak>;
        let metrics: [(Metric, Which); 3] = [
            (Metric::PeakPssBytes, |peak| &peak.pss_bytes),
            (Metric::PeakRssBytes, |peak| &peak.rss_bytes),
            (Metric::LargestProcessRssBytes, |peak| {
                &peak.process_rss_bytes
            }),
        ];
        for (runs, &task) in measured.iter().zip(group) {
            let report = &mut self.report.commands[task];
            for (metric, which) in &metrics {
                let values = runs
                    .iter()
                    .filter_map(|run| which(run).as_ref().ok().copied());
                let why = runs.iter().find_map(|run| which(run).as_ref().err());
                let why = why.map(ToString::to_string);
                report.add(metric.clone(), Pass::Memory, values.collect(), why);
            }
            report.memory_notes(runs);
        }
        outcome
    }
}

fn add_counts(report: &mut CommandReport, events: &[Event], runs: &[Vec<Count>]) {
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
            report.note(format!(
                "{event} is scaled up: it was counted {:.0} % of the time at least",
                100.0 * least
            ));
        }
        let why = why.map(ToString::to_string);
        report.add(event.metric(), Pass::Counters, values, why);
    }
}

impl Aside {
    /// # Errors
    /// It failed.
    fn check(&self, status: ExitStatus) -> Result<(), CommandError> {
        if status.success() {
            return Ok(());
        }
        Err(CommandError::Aside {
            option: self.option,
            line: self.line.clone(),
            how: status,
        })
    }
}

/// Before or after a run; a signal ends it, which is no failure of it.
fn run_aside(aside: &Aside) -> Result<(), CommandError> {
    log::debug!("{} `{}`", aside.option, aside.line);
    let status = run_once(&aside.program)?.status;
    if interrupt::received().is_some() {
        return Ok(());
    }
    aside.check(status)
}

fn run_once(program: &Program) -> Result<Ended, CommandError> {
    let ended = program.run_noting(tree::started);
    tree::ended();
    Ok(ended?)
}
