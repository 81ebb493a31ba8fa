//! Blocks of starts, and what is read on both sides of them.

use std::time::Duration;

use measure_core::contract::protocol::{BatchEnd, Go};
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use probes::disk_io::drop_caches;

use super::bench::Bench;
use super::live::Live;
use crate::counters::{CpuMeter, DiskMeter};
use crate::error::{BenchError, SessionError, StepError};
use crate::plan::{Pass, Task};
use crate::recorder::{About, Recorder};
use crate::session::Session;

/// A single start after dropped caches.
pub(super) const DROP_CACHES: Task = Task {
    pass: Pass::DropCaches,
    starts: 1,
    workers: 1,
    warmup: 0,
    repetitions: 1,
    metered: true,
};
/// How often a process may fail to make its first start.
const FIRST_TRIES: u32 = 3;

/// What samples of the present process of `rung` are about.
pub(super) fn about<'a>(
    rung: &Live<'a>,
    function: &'a str,
    measure: &'a Measure,
    n: u64,
    workers: usize,
) -> About<'a> {
    About {
        rung: rung.offer.rung(),
        function,
        measure,
        n,
        workers: u32::try_from(workers).unwrap_or(u32::MAX),
        process: rung.process,
        order: 0,
    }
}

/// Counts `starts` more of `pass` in the record of the present process.
pub(super) fn count(bench: &mut Bench<'_>, rung: &Live<'_>, pass: Pass, starts: u64) {
    bench
        .recorder
        .about_process(rung.offer.rung(), rung.process, |info| {
            *info.starts.entry(pass.word().to_owned()).or_default() += starts;
        });
}

/// The first start of a process, kept apart from all others: it finds what the process had not touched yet. Of the first process
/// it decides how much there is to do.
pub(super) fn first_start(bench: &mut Bench<'_>, rung: &mut Live<'_>) -> Result<(), StepError> {
    let Some(mut session) = rung.session.take() else {
        return Ok(());
    };
    let function = session.function.clone();
    let about = about(rung, &function, &Measure::Calibrate, 1, 1);
    let go = Go {
        starts: Some(1),
        workers: Some(1),
        ..Go::default()
    };
    let (mut took, mut said) = (None, "no start was made".to_owned());
    let mut tries = 0;
    while took.is_none() && tries < FIRST_TRIES {
        tries += 1;
        let recorder = &mut *bench.recorder;
        session.batch(&go, Duration::ZERO, &mut |sample| {
            match &sample.error {
                Some(error) => said.clone_from(error),
                None => took = Some(sample.total_ns),
            }
            Ok(recorder.start(about, &sample)?)
        })?;
    }
    count(bench, rung, Pass::First, tries.into());
    let took = took.ok_or(SessionError::AllFailed(said))?;
    rung.session = Some(session);
    if rung.never_started() {
        let words = rung.size(bench.sizes, took);
        let name = rung.offer.rung();
        bench
            .recorder
            .about_rung(name, |info| info.plan = Some(words));
        bench
            .progress
            .expect((rung.opening + rung.estimate()) * rung.planned());
    }
    Ok(())
}

/// One batch of `task`.
pub(super) fn batch(
    bench: &mut Bench<'_>,
    rung: &mut Live<'_>,
    task: Task,
) -> Result<(), StepError> {
    let Some(mut session) = rung.session.take() else {
        return Ok(());
    };
    let expected = Duration::from_nanos(task.all_starts().saturating_mul(rung.start_ns()));
    let function = session.function.clone();
    let about = about(
        rung,
        &function,
        task.pass.measure(),
        task.starts,
        task.workers,
    );
    if task.pass == Pass::DropCaches
        && let Err(why) = drop_caches()
    {
        for metric in [Metric::ReadBytes, Metric::WriteBytes, Metric::WallNs] {
            let why = Value::Unavailable(why.to_string());
            bench.recorder.value(about, phase::TOTAL, metric, why)?;
        }
        rung.session = Some(session);
        return Ok(());
    }
    let (process, block) = (rung.process, bench.recorder.block());
    let seen = &mut rung.seen.back_to_back;
    let mut on_start = |total_ns: u64| {
        if task.pass == Pass::BackToBack {
            seen.push((process, block, total_ns as f64));
        }
    };
    measured(
        bench.recorder,
        &mut session,
        task,
        about,
        expected,
        &mut on_start,
    )?;
    rung.session = Some(session);
    count(bench, rung, task.pass, task.starts);
    Ok(())
}

/// Makes the starts and writes down what they took and cost.
fn measured(
    recorder: &mut Recorder,
    session: &mut Session,
    task: Task,
    about: About<'_>,
    expected: Duration,
    on_start: &mut dyn FnMut(u64),
) -> Result<(), StepError> {
    let scope = session.scope.clone();
    let wants_cpu = task.metered && !matches!(task.pass, Pass::Disk | Pass::DropCaches);
    let wants_disk = task.metered && task.pass != Pass::Cpu;
    let cpu = wants_cpu.then(|| CpuMeter::open(&scope));
    let disk = wants_disk.then(|| DiskMeter::open(&scope));
    let go = Go {
        starts: Some(task.starts),
        workers: Some(task.workers),
        warmup: Some(task.warmup),
        quiet: !matches!(task.pass, Pass::BackToBack | Pass::Request),
        requests: task.pass == Pass::Request,
        ..Go::default()
    };
    let one = About {
        measure: match task.pass {
            // Of a batch of several workers only what fails is said.
            Pass::BackToBack | Pass::Throughput => &Measure::BackToBack,
            _ => about.measure,
        },
        ..about
    };
    let end = session.batch(&go, expected, &mut |sample| {
        if sample.error.is_none() && !sample.warmup {
            on_start(sample.total_ns);
        }
        Ok(recorder.start(one, &sample)?)
    })?;
    if task.pass == Pass::Request {
        return Ok(());
    }
    let about = About {
        n: end.starts,
        ..about
    };
    let wall = unless_failed(&end, end.elapsed_ns.into());
    recorder.value(about, phase::TOTAL, Metric::WallNs, wall)?;
    // What is read around a batch is that of its warm-up too.
    let about = About {
        n: end.starts + task.warmup * task.workers as u64,
        ..about
    };
    if let Some(meter) = cpu {
        let about = About {
            measure: &Measure::Cpu,
            ..about
        };
        cpu_cost(recorder, about, meter, &end)?;
    }
    if let Some(meter) = disk {
        let measure = match task.pass {
            Pass::DropCaches => &Measure::DropCaches,
            _ => &Measure::Disk,
        };
        disk_bytes(recorder, About { measure, ..about }, meter, &end)?;
    }
    Ok(())
}

fn cpu_cost(
    recorder: &mut Recorder,
    about: About<'_>,
    meter: CpuMeter<'_>,
    end: &BatchEnd,
) -> Result<(), BenchError> {
    for (metric, value) in meter.read().values() {
        let value = unless_failed(end, value);
        recorder.value(about, phase::TOTAL, metric, value)?;
    }
    Ok(())
}

fn disk_bytes(
    recorder: &mut Recorder,
    about: About<'_>,
    meter: DiskMeter<'_>,
    end: &BatchEnd,
) -> Result<(), BenchError> {
    let bytes = meter.read();
    let bytes = bytes.as_ref();
    let values = [
        (Metric::ReadBytes, bytes.map(|b| b.read_bytes)),
        (Metric::WriteBytes, bytes.map(|b| b.write_bytes)),
    ];
    for (metric, value) in values {
        let value = unless_failed(end, value.into());
        recorder.value(about, phase::TOTAL, metric, value)?;
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
