//! Walks at an interval, and their peak.

use std::time::Duration;

use measure_core::base::clock::now_ns;
use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::stdout::Reader;
use probes::memory::{Memory, Point, Sampler, Series};

use crate::once::refuse_if_all_denied;
use crate::output::{columns, headings, json_line, print};
use crate::targets::Targets;
use crate::{Options, WalkerError};

pub(crate) fn run(
    options: &Options,
    targets: &Targets,
    sampler: &mut Sampler,
) -> Result<Exit, WalkerError> {
    interrupt::install().map_err(WalkerError::Signals)?;
    let mut ticks = Ticks::start(options.sample_interval(), options.duration);
    let mut series = Series::default();
    if !options.json {
        print(&format!(
            "{:>10}{:>11}{}\n",
            "TIME s",
            "PROCESSES",
            headings()
        ))?;
    }
    while interrupt::received().is_none() {
        let walk = targets.walk(sampler);
        if series.points.is_empty() {
            refuse_if_all_denied(&walk)?;
        }
        if targets.ended(&walk) {
            eprintln!("no process is left");
            break;
        }
        series.push(&walk);
        let point = Point::from(&walk);
        let reader = print(&if options.json {
            json_line("point", &point)
        } else {
            row(
                &format!("{:.3}", seconds(point.start_ns - ticks.start_ns)),
                &point,
            )
        })?;
        if reader == Reader::Gone || !ticks.wait() {
            break;
        }
    }
    print(&conclusion(options.json, &series, &ticks))?;
    for reason in &series.reasons {
        eprintln!("warning: {reason}");
    }
    Ok(interrupt::received().unwrap_or(Exit::Ok))
}

/// When to sample: on the grid of the interval from the start, so that slow walks do not make the
/// series drift; what they made impossible is counted.
struct Ticks {
    start_ns: u64,
    interval_ns: u64,
    duration_ns: Option<u64>,
    next: u64,
    missed: u64,
}

impl Ticks {
    fn start(interval: Duration, duration: Option<Duration>) -> Self {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            start_ns: now_ns(),
            interval_ns: ns(interval),
            duration_ns: duration.map(ns),
            next: 1,
            missed: 0,
        }
    }

    /// Waits for the next tick; `false` if there is none, or a signal came.
    fn wait(&mut self) -> bool {
        let last = self
            .duration_ns
            .map_or(u64::MAX, |end| end / self.interval_ns);
        let due = self.elapsed_ns() / self.interval_ns;
        if due >= self.next {
            self.missed += (due.min(last) + 1).saturating_sub(self.next);
            self.next = due + 1;
        }
        if self.next > last {
            return false;
        }
        let at = self.next.saturating_mul(self.interval_ns);
        self.next += 1;
        let left = || Duration::from_nanos(at.saturating_sub(self.elapsed_ns()));
        // The interruptible sleep knows whole milliseconds only; the rest is slept off after it.
        if !interrupt::sleep(left()) {
            return false;
        }
        std::thread::sleep(left().min(Duration::from_millis(1)));
        true
    }

    fn elapsed_ns(&self) -> u64 {
        now_ns() - self.start_ns
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn row(label: &str, point: &Point) -> String {
    format!(
        "{label:>10}{:>11}{}\n",
        point.processes,
        columns(point.memory)
    )
}

fn conclusion(json: bool, series: &Series, ticks: &Ticks) -> String {
    #[derive(serde::Serialize)]
    struct Peak<'a> {
        peak: Option<&'a Point>,
        maxima: Option<Memory>,
        samples: usize,
        missed_ticks: u64,
        vanished: usize,
        denied: usize,
    }
    let (peak, maxima) = (series.peak(), series.maxima());
    let (vanished, denied) = (series.vanished, series.denied);
    let (samples, missed_ticks) = (series.points.len(), ticks.missed);
    if json {
        let line = Peak {
            peak,
            maxima,
            samples,
            missed_ticks,
            vanished,
            denied,
        };
        return json_line("peak", &line);
    }
    let Some(peak) = peak else {
        return "no sample was taken\n".to_owned();
    };
    let at = seconds(peak.start_ns - ticks.start_ns);
    let mut text = row("peak", peak);
    text += &format!("peak PSS at {at:.3} s; {samples} samples");
    for (count, what) in [
        (
            missed_ticks,
            "ticks missed because a walk took longer than the interval",
        ),
        (vanished as u64, "processes vanished during a walk"),
        (denied as u64, "readings not permitted"),
    ] {
        if count > 0 {
            text += &format!("; {count} {what}");
        }
    }
    text.push('\n');
    text
}
