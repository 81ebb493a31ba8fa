//! `time`: wall time, CPU and disk I/O of cold starts.
//!
//! One driver process per rung stays open for the whole part. Its blocks are interleaved with those of
//! the other rungs in a seeded random order. Wall time, CPU and disk I/O are passes of their own, so that
//! reading counters disturbs no wall time.

use std::time::{Duration, Instant};

use measure_core::base::exit::{Exit, HasExit};
use measure_core::base::interrupt;
use measure_core::base::progress::Progress;
use measure_core::contract::Probe;
use measure_core::contract::protocol::{BatchEnd, Go};
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use probes::disk_io::drop_caches;
use stats::schedule::{Block, interleave};

use crate::counters::{CpuMeter, DiskMeter};
use crate::drivers::Offer;
use crate::error::{BenchError, SessionError, StepError};
use crate::plan::{Pass, Sizes, Task, estimate, in_words, share_until, tasks};
use crate::recorder::{About, Recorder};
use crate::session::{Job, Session, Start};
use crate::trouble::Trouble;

/// Starts by which the size of the batches is chosen.
const CALIBRATION_STARTS: u64 = 3;
/// Passes that share a schedule; one group after the other.
const GROUPS: [&[Pass]; 4] = [
    &[Pass::Wall, Pass::Throughput],
    &[Pass::Cpu],
    &[Pass::Disk],
    &[Pass::DropCaches],
];

/// A rung whose driver is ready.
struct Live<'a> {
    offer: &'a Offer,
    /// `None` once it has failed.
    session: Option<Session>,
    start_ns: u64,
    tasks: Vec<Task>,
}

/// Measures the ready rungs of `offers`.
///
/// # Errors
/// The records cannot be written. What goes wrong with rungs is in the [`Trouble`].
pub fn measure(
    recorder: &mut Recorder,
    offers: &[Offer],
    job: &Job<'_>,
    sizes: &Sizes,
) -> Result<Trouble, BenchError> {
    let mut progress = Progress::begin("time");
    let mut trouble = Trouble::default();
    let mut live = Vec::new();
    for offer in offers.iter().filter(|o| o.probe == Probe::Ready) {
        if interrupt::received().is_some() {
            break;
        }
        recorder.next_block();
        progress.show(&format!("{}: getting ready", offer.rung()));
        match open(recorder, offer, job, sizes) {
            Ok(rung) => {
                progress.expect(estimate(&rung.tasks, rung.start_ns));
                live.push(rung);
            }
            Err(error) => {
                let error = error.of_rung()?;
                trouble.add(recorder, &mut progress, offer, job.named(), error)?;
            }
        }
    }
    recorder.save()?;
    let left_out = blocks(recorder, &mut live, sizes, &mut progress, &mut trouble)?;
    if left_out > 0 {
        recorder.part().notes.push(format!(
            "{left_out} repetitions of batches were left out: starts took longer than at first, and all rungs together have {} s",
            sizes.within.unwrap_or_default().as_secs()
        ));
    }
    close(recorder, live, &mut progress, &mut trouble)?;
    Ok(trouble)
}

/// Measures all blocks, pass by pass. Returns how many were left out for lack of time; never a batch's first.
fn blocks(
    recorder: &mut Recorder,
    live: &mut [Live<'_>],
    sizes: &Sizes,
    progress: &mut Progress,
    trouble: &mut Trouble,
) -> Result<u64, BenchError> {
    let (begun, mut left_out) = (Instant::now(), 0);
    let is_late = |pass| {
        let until = sizes.within.map(|all| all.mul_f64(share_until(pass)));
        until.is_some_and(|until| begun.elapsed() > until)
    };
    for (number, passes) in (0_u64..).zip(GROUPS) {
        let seed = recorder.seed().wrapping_add(number);
        let plan = plan_of(live, passes);
        let repetitions: Vec<u32> = plan.iter().map(|(_, task)| task.repetitions).collect();
        for Block {
            task, repetition, ..
        } in interleave(seed, &repetitions)
        {
            if interrupt::received().is_some() {
                return Ok(left_out);
            }
            let (index, task) = plan[task];
            if repetition > 0 && is_late(task.pass) {
                left_out += 1;
                continue;
            }
            recorder.next_block();
            block(recorder, &mut live[index], task, progress, trouble)?;
        }
    }
    Ok(left_out)
}

/// The tasks of `passes` of every rung, with the rung's index.
fn plan_of(live: &[Live<'_>], passes: &[Pass]) -> Vec<(usize, Task)> {
    live.iter()
        .enumerate()
        .flat_map(|(index, rung)| rung.tasks.iter().map(move |&task| (index, task)))
        .filter(|(_, task)| passes.contains(&task.pass))
        .collect()
}

/// Starts the driver of `offer`, makes its first starts, and decides how many to make.
fn open<'a>(
    recorder: &mut Recorder,
    offer: &'a Offer,
    job: &Job<'_>,
    sizes: &Sizes,
) -> Result<Live<'a>, StepError> {
    let most = offer.description.max_workers.max(1);
    let workers = sizes
        .workers
        .iter()
        .copied()
        .filter(|&w| w <= most)
        .max()
        .unwrap_or(1);
    let mut session = Session::start(Start {
        driver: &offer.driver,
        command: "time",
        count: 1,
        rung: offer.rung(),
        function: job.function,
        workers: Some(workers),
        log: recorder.log("time", offer.rung()),
        patience: job.patience,
    })?;
    let (mut times, mut first_error) = (Vec::new(), None);
    let function = session.function.clone();
    let about = About {
        rung: offer.rung(),
        function: &function,
        measure: &Measure::Calibrate,
        n: 1,
        workers: 1,
        order: 0,
    };
    let go = Go {
        starts: Some(CALIBRATION_STARTS),
        workers: Some(1),
        ..Go::default()
    };
    session.batch(&go, Duration::ZERO, &mut |sample| {
        match &sample.error {
            Some(error) => first_error = first_error.take().or_else(|| Some(error.clone())),
            None => times.push(sample.total_ns),
        }
        Ok(recorder.start(about, &sample)?)
    })?;
    // The least: the first start in a process is slow, and other load only adds.
    let Some(start_ns) = times.into_iter().min() else {
        let error = first_error.unwrap_or_else(|| "no start was made".into());
        return Err(SessionError::AllFailed(error).into());
    };
    let tasks = tasks(sizes, start_ns, most);
    recorder.about_rung(offer.rung(), |info| {
        info.function = Some(session.function.clone());
        info.scope = Some(session.scope.includes.clone());
        info.plan = Some(in_words(sizes, &tasks, start_ns));
        // With what it knows once it is prepared, for example the image's digest.
        info.description = session.description.clone();
    });
    Ok(Live {
        offer,
        session: Some(session),
        start_ns,
        tasks,
    })
}

/// Measures one block; a rung that fails is out of the rest.
fn block(
    recorder: &mut Recorder,
    rung: &mut Live<'_>,
    task: Task,
    progress: &mut Progress,
    trouble: &mut Trouble,
) -> Result<(), BenchError> {
    let expected = Duration::from_nanos(task.starts.saturating_mul(rung.start_ns));
    if let Some(mut session) = rung.session.take() {
        progress.show(&format!(
            "{}: {:?}, {} starts",
            rung.offer.rung(),
            task.pass,
            task.starts
        ));
        match batch(recorder, &mut session, rung.offer.rung(), task, expected) {
            Ok(()) => rung.session = Some(session),
            Err(error) => {
                let error = error.of_rung()?;
                let function = session.function.clone();
                drop(session);
                trouble.add(recorder, progress, rung.offer, Some(function), error)?;
            }
        }
    }
    progress.done(expected);
    Ok(())
}

fn batch(
    recorder: &mut Recorder,
    session: &mut Session,
    rung: &str,
    task: Task,
    expected: Duration,
) -> Result<(), StepError> {
    let (function, scope) = (session.function.clone(), session.scope.clone());
    let about = About {
        rung,
        function: &function,
        measure: measure_of(task.pass),
        n: task.starts,
        workers: u32::try_from(task.workers).unwrap_or(u32::MAX),
        order: 0,
    };
    if task.pass == Pass::DropCaches
        && let Err(why) = drop_caches()
    {
        for metric in [Metric::ReadBytes, Metric::WriteBytes, Metric::WallNs] {
            recorder.value(
                about,
                phase::TOTAL,
                metric,
                Value::Unavailable(why.to_string()),
            )?;
        }
        return Ok(());
    }
    let cpu = (task.pass == Pass::Cpu).then(|| CpuMeter::open(&scope));
    let disk = matches!(task.pass, Pass::Disk | Pass::DropCaches).then(|| DiskMeter::open(&scope));
    let go = Go {
        starts: Some(task.starts),
        workers: Some(task.workers),
        warmup: Some(0),
        quiet: task.pass != Pass::Wall,
    };
    let one = About {
        measure: match task.pass {
            Pass::Wall | Pass::Throughput => &Measure::Start,
            Pass::Cpu | Pass::Disk | Pass::DropCaches => about.measure,
        },
        ..about
    };
    let end = session.batch(&go, expected, &mut |sample| {
        Ok(recorder.start(one, &sample)?)
    })?;
    let about = About {
        n: end.starts,
        ..about
    };
    let of_all = |value| unless_failed(&end, value);
    recorder.value(
        about,
        phase::TOTAL,
        Metric::WallNs,
        of_all(end.elapsed_ns.into()),
    )?;
    if let Some(meter) = cpu {
        for (metric, value) in meter.read().values() {
            recorder.value(about, phase::TOTAL, metric, of_all(value))?;
        }
    }
    if let Some(bytes) = disk.map(DiskMeter::read) {
        let bytes = bytes.as_ref();
        let (read, write) = (bytes.map(|b| b.read_bytes), bytes.map(|b| b.write_bytes));
        recorder.value(about, phase::TOTAL, Metric::ReadBytes, of_all(read.into()))?;
        recorder.value(
            about,
            phase::TOTAL,
            Metric::WriteBytes,
            of_all(write.into()),
        )?;
    }
    Ok(())
}

/// A batch's total, unless starts of it failed: those did not do the work.
fn unless_failed(end: &BatchEnd, value: Value) -> Value {
    if end.failed > 0 {
        return Value::Unavailable(format!("{} of {} starts failed", end.failed, end.starts));
    }
    value
}

fn measure_of(pass: Pass) -> &'static Measure {
    match pass {
        Pass::Wall | Pass::Throughput => &Measure::Batch,
        Pass::Cpu => &Measure::Cpu,
        Pass::Disk => &Measure::Disk,
        Pass::DropCaches => &Measure::DropCaches,
    }
}

/// Releases every driver, then waits for each to clean up.
fn close(
    recorder: &mut Recorder,
    mut live: Vec<Live<'_>>,
    progress: &mut Progress,
    trouble: &mut Trouble,
) -> Result<(), BenchError> {
    live.iter_mut()
        .filter_map(|rung| rung.session.as_mut())
        .for_each(Session::release);
    for rung in live {
        let Some(session) = rung.session else {
            continue;
        };
        progress.show(&format!("{}: cleaning up", rung.offer.rung()));
        let (function, starts) = (session.function.clone(), session.starts);
        recorder.about_rung(rung.offer.rung(), |info| {
            if let Some(plan) = &mut info.plan {
                *plan += &format!("; {starts} starts in all");
            }
        });
        match session.close() {
            Err(error) if error.exit() != Exit::Interrupted => {
                trouble.add(recorder, progress, rung.offer, Some(function), error)?;
            }
            _ => {}
        }
    }
    Ok(())
}
