//! Full rate for minutes, and a line through everything that is weighed meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use measure_core::base::exit::Exit;
use measure_core::base::progress::Progress;
use measure_core::contract::protocol::{Go, Message, parse_line};
use measure_core::contract::vocabulary::Metric;
use measure_core::driver_kit::cgroup::MountedHierarchy;
use probes::kernel_memory::KernelMemory;
use probes::memory::Sampler;
use stats::{LinearFit, linear_fit};
use table::{Align, Table};

use crate::error::{SoakError, Step};
use crate::room::{self, groups_below};
use crate::victims;

/// Which drivers run, all at once, and how many starts a batch of each has: a second's worth or so.
const RUNGS: [(&str, &str, u64); 3] = [
    ("process-driver", "process", 2000),
    ("faasm-driver", "faaslet", 2000),
    ("faasm-driver", "faaslet-netns-new", 50),
];
const EVERY: Duration = Duration::from_secs(1);
/// Caches fill in the first minute: it does not count.
const SETTLING_MINUTES: f64 = 1.0;
/// Samples follow one another closely and are alike, so a line goes through the means of so many blocks.
const BLOCKS: usize = 30;
/// Growth over the whole run up to this part of the level is none.
const LEVEL_PART: f64 = 0.01;

/// One quantity over time.
struct Series {
    what: String,
    /// Growth over the whole run up to this is none: what is given out at once.
    grain: f64,
    /// Minutes since the beginning, and the value.
    points: Vec<(f64, f64)>,
}

/// Runs for `minutes` and prints the lines; the exit code is 1 if something grows or a start fails.
pub fn run(minutes: u64) -> Result<Exit, SoakError> {
    let mut drivers = Vec::new();
    for (name, rung, starts) in RUNGS {
        match Driver::start(name, rung, starts) {
            Ok(driver) => drivers.push(driver),
            Err(SoakError::Unavailable(why)) => println!("left out: {rung}: {why}"),
            Err(other) => return Err(other),
        }
    }
    if drivers.is_empty() {
        let why = "no driver runs here, see above; `make build functions` makes what they need";
        return Err(SoakError::Unavailable(why.to_owned()));
    }
    let mut series = Vec::new();
    let mut sampler = Sampler::new()?;
    let mut progress = Progress::begin("full rate");
    let end = Duration::from_secs(minutes * 60);
    progress.expect(end);
    let begun = Instant::now();
    let mut told = false;
    while !told && begun.elapsed() < end && drivers.iter().all(Driver::runs) {
        let at = begun.elapsed().as_secs_f64() / 60.0;
        let values = weigh(&drivers, &mut sampler)?;
        series.resize_with(values.len(), || None);
        for (series, (what, grain, value)) in series.iter_mut().zip(values) {
            let new = || Series {
                what,
                grain,
                points: Vec::new(),
            };
            series.get_or_insert_with(new).points.push((at, value));
        }
        let starts: u64 = drivers.iter().map(Driver::starts).sum();
        progress.show(&format!("{starts} starts so far"));
        told = room::is_to_end(EVERY);
        progress.done(EVERY);
    }
    progress.clear();
    if told {
        println!(
            "told to end after {:.1} of {minutes} minutes",
            begun.elapsed().as_secs_f64() / 60.0
        );
    }
    let mut wrong = 0;
    for driver in drivers {
        let (line, good) = driver.end()?;
        println!("{line}");
        wrong += usize::from(!good);
    }
    wrong += print(series.into_iter().flatten());
    Ok(if wrong > 0 { Exit::Failed } else { Exit::Ok })
}

/// Everything that may grow, its grain and how much of it there is now.
fn weigh(drivers: &[Driver], sampler: &mut Sampler) -> Result<Vec<(String, f64, f64)>, SoakError> {
    let mut values = Vec::new();
    for driver in drivers {
        let pid = driver.child.id().cast_signed();
        let pss_bytes = sampler.sample_trees(&[pid]).sum().pss_bytes;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        values.push((
            format!("{}: PSS, KiB", driver.rung),
            256.0,
            pss_bytes as f64 / 1024.0,
        ));
        values.push((
            format!("{}: descriptors", driver.rung),
            1.0,
            descriptors as f64,
        ));
    }
    let hierarchies = MountedHierarchy::all()?;
    let groups: usize = hierarchies
        .iter()
        .map(|h| groups_below(&h.point).len())
        .sum();
    values.push(("all: cgroups".to_owned(), 1.0, groups as f64));
    let charged = hierarchies.iter().find_map(charged_kernel_bytes);
    values.extend(charged.map(|bytes| {
        let what = "all: kernel memory charged to them, KiB";
        (what.to_owned(), 1024.0, bytes as f64 / 1024.0)
    }));
    let kernel = KernelMemory::now().map_err(|e| SoakError::Unavailable(e.to_string()))?;
    for (what, metric) in [
        (
            "host: unreclaimable slabs, KiB",
            Metric::SlabUnreclaimableBytes,
        ),
        ("host: reclaimable slabs, KiB", Metric::SlabReclaimableBytes),
        ("host: per-CPU memory, KiB", Metric::PercpuBytes),
    ] {
        let bytes = kernel.bytes(&metric).unwrap_or(0);
        values.push((what.to_owned(), 4096.0, bytes as f64 / 1024.0));
    }
    Ok(values)
}

/// Kernel memory that is charged to the room, so to what runs in it, whatever else the host does; `None` where `hierarchy` is not
/// the memory controller's, or charges none.
fn charged_kernel_bytes(hierarchy: &MountedHierarchy) -> Option<u64> {
    let read = |file| fs::read_to_string(hierarchy.point.join(file)).ok();
    if hierarchy.v2 {
        let stat = read("memory.stat")?;
        let mut values = stat.lines().filter_map(|l| l.strip_prefix("kernel "));
        return values.next()?.trim().parse().ok();
    }
    read("memory.kmem.usage_in_bytes")?.trim().parse().ok()
}

/// Prints a row for each of `all`; how many grow.
fn print(all: impl Iterator<Item = Series>) -> usize {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("after 1 min", Align::Right),
        ("at the end", Align::Right),
        ("per hour", Align::Right),
        ("95 % interval", Align::Right),
        ("verdict", Align::Left),
    ]);
    let mut growing = 0;
    for series in all {
        let Some(line) = fit(&series.points) else {
            table.row([&*series.what, "", "", "", "", "too short"]);
            continue;
        };
        let last = series.points.last().map_or(0.0, |point| point.0);
        let grows = grows(&line, last, series.grain);
        growing += usize::from(grows);
        let interval = line.slope_interval.map_or_else(String::new, |interval| {
            format!("{:.1} to {:.1}", interval.lo * 60.0, interval.hi * 60.0)
        });
        table.row([
            series.what,
            format!("{:.1}", line.at(SETTLING_MINUTES)),
            format!("{:.1}", line.at(last)),
            format!("{:.1}", line.slope * 60.0),
            interval,
            (if grows { "GROWS" } else { "level" }).to_owned(),
        ]);
    }
    println!("\n{}", table.text(table::terminal_width()));
    growing
}

/// The line through the block means of `points` after the first minute.
fn fit(points: &[(f64, f64)]) -> Option<LinearFit> {
    let settled = points.partition_point(|point| point.0 < SETTLING_MINUTES);
    let points = &points[settled..];
    let length = points.len().div_ceil(BLOCKS).max(1);
    let mean = |block: &[(f64, f64)]| {
        let n = block.len() as f64;
        let sum = block
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / n, sum.1 / n)
    };
    linear_fit(&points.chunks(length).map(mean).collect::<Vec<_>>())
}

/// Whether the slope is surely above 0, and what it makes of the time until `last` more than the level's own part and `grain`.
fn grows(line: &LinearFit, last: f64, grain: f64) -> bool {
    let growth = line.slope * (last - SETTLING_MINUTES);
    let least = grain.max(LEVEL_PART * line.at(SETTLING_MINUTES));
    line.slope_interval
        .is_some_and(|interval| interval.lo > 0.0)
        && growth > least
}

/// A driver that makes batch after batch until it is told to stop.
struct Driver {
    rung: &'static str,
    child: Child,
    starts: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    reader: JoinHandle<()>,
    begun: Instant,
}

impl Driver {
    /// Starts `name`, whose batches have so many `starts`.
    ///
    /// # Errors
    /// [`SoakError::Unavailable`] where it cannot run here.
    fn start(name: &str, rung: &'static str, starts: u64) -> Result<Self, SoakError> {
        let program = victims::program(name)?;
        if !program.exists() {
            return Err(SoakError::Unavailable(format!("{name} is not built")));
        }
        let mut child = Command::new(program)
            .args(["time", "1", "--gated", "--rung", rung])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .step(format!("start {name}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SoakError::Unavailable("it has no pipes".to_owned()));
        };
        let mut output = BufReader::new(output);
        if let Err(why) = until_ready(&mut output) {
            child.wait().step(format!("wait for {name}"))?;
            return Err(why);
        }
        let counts = [Arc::default(), Arc::default()];
        let stop = Arc::default();
        let (theirs, stops) = (counts.clone(), Arc::clone(&stop));
        let reader = thread::spawn(move || batches(input, output, starts, &theirs, &stops));
        let [starts, failed] = counts;
        Ok(Self {
            rung,
            child,
            starts,
            failed,
            stop,
            reader,
            begun: Instant::now(),
        })
    }

    /// Whether its output is still read: it ends with the driver.
    fn runs(&self) -> bool {
        !self.reader.is_finished()
    }

    /// Made so far.
    fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Ends it; what it did, in words, and whether that is as it should be.
    fn end(mut self) -> Result<(String, bool), SoakError> {
        let early = !self.runs();
        self.stop.store(true, Ordering::Relaxed);
        let status = self.child.wait().step("wait for a driver")?;
        // It only reads, and has read all.
        let _ = self.reader.join();
        let (starts, failed) = (
            self.starts.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        );
        let rate = starts as f64 / self.begun.elapsed().as_secs_f64();
        let when = if early { ", before its time" } else { "" };
        let line = format!(
            "{}: {starts} starts, {rate:.0} a second, {failed} failed; {status}{when}",
            self.rung
        );
        Ok((
            line,
            status.success() && failed == 0 && starts > 0 && !early,
        ))
    }
}

/// Reads until the driver is ready.
fn until_ready(output: &mut BufReader<ChildStdout>) -> Result<(), SoakError> {
    for line in output.lines() {
        let line = line.step("read what a driver says")?;
        let message = parse_line(&line).map_err(|e| SoakError::Unavailable(e.to_string()))?;
        match message {
            Message::Ready => return Ok(()),
            Message::Failed { error, .. } => return Err(SoakError::Unavailable(error)),
            _ => {}
        }
    }
    let why = "it ended before it was ready";
    Err(SoakError::Unavailable(why.to_owned()))
}

/// Asks for batch after batch of so many `starts` and counts those made and those failed, until `stop` or the driver's end.
fn batches(
    mut input: ChildStdin,
    output: BufReader<ChildStdout>,
    starts: u64,
    counts: &[Arc<AtomicU64>; 2],
    stop: &AtomicBool,
) {
    let go = Go {
        starts: Some(starts),
        quiet: true,
        ..Go::default()
    };
    let Ok(go) = serde_json::to_string(&go) else {
        return;
    };
    let mut input = writeln!(input, "{go}").is_ok().then_some(input);
    for line in output.lines().map_while(Result::ok) {
        let Ok(Message::Batch(batch)) = parse_line(&line) else {
            continue;
        };
        counts[0].fetch_add(batch.starts, Ordering::Relaxed);
        counts[1].fetch_add(batch.failed, Ordering::Relaxed);
        // Closed, it ends the driver.
        input = input.filter(|_| !stop.load(Ordering::Relaxed));
        input = input.and_then(|mut input| writeln!(input, "{go}").is_ok().then_some(input));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(per_minute: f64) -> LinearFit {
        let noise = |i: u32| f64::from(i * 7919 % 13) - 6.0;
        let at = |i: u32| f64::from(i) / 60.0;
        // In the first minute it rises whatever it does later.
        let value = |i: u32| {
            10_000.0
                + per_minute * at(i)
                + noise(i)
                + if i < 60 { f64::from(i) * 100.0 } else { 0.0 }
        };
        let points: Vec<_> = (0..600).map(|i| (at(i), value(i))).collect();
        fit(&points).expect("a line")
    }

    #[test]
    fn what_grows_after_the_first_minute_is_told_from_what_is_level() {
        assert!(!grows(&line(0.0), 10.0, 1.0));
        assert!(!grows(&line(-50.0), 10.0, 1.0));
        assert!(grows(&line(50.0), 10.0, 1.0));
        // Below one part in a hundred, or the grain, it is none.
        assert!(!grows(&line(5.0), 10.0, 1.0));
        assert!(!grows(&line(50.0), 10.0, 1000.0));
        assert!((line(50.0).slope - 50.0).abs() < 1.0);
    }
}
