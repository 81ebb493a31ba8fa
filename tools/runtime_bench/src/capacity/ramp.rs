//! One rung's ramp: more and more parked workers, a measurement now and then, until something gives.

use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::base::progress::Line;
use measure_core::contract::sample::Value;
use measure_core::contract::vocabulary::{Measure, Metric, phase};
use probes::kernel_limits;
use probes::kernel_memory::KernelMemory;
use probes::memory::{Memory, Sampler, Walk};
use probes::memory_room::MemoryRooms;
use report::{bytes, duration_ns};

use super::gave::Gave;
use super::one_more::{OneMore, Starts};
use super::options::Ends;
use super::plan::next_point;
use super::residents::Residents;
use super::room::Room;
use crate::drivers::Offer;
use crate::error::{BenchError, SessionError, StepError};
use crate::recorder::{About, Recorder};
use crate::session::Job;
use crate::slo::default_slo_ns;
use crate::trouble;

/// Why a point has no starts.
enum NoStarts {
    /// Something gave, which ends the ramp.
    Gave(Gave),
    /// Something that the whole run cannot do without.
    Run(BenchError),
}

/// How often in a row the starts of a point have to miss the bound: one of tens may meet something else of the host.
const MISSES: u32 = 3;
/// How long the kernel may go on freeing what was let go, before it is looked what is left.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);
const SETTLE_STEP: Duration = Duration::from_millis(200);
const SETTLED_BYTES: u64 = 128 << 10;
const SETTLING: [Metric; 3] = [
    Metric::SlabUnreclaimableBytes,
    Metric::PercpuBytes,
    Metric::KernelStacksBytes,
];

/// A rung's ramp under way.
pub(super) struct Ramp<'a> {
    recorder: &'a mut Recorder,
    line: &'a mut Line,
    offer: &'a Offer,
    ends: Ends,
    room: Room,
    one_more: OneMore,
    residents: Residents<'a>,
    /// What the process that held them last ran.
    function: String,
    /// The bound of a start, once it is known.
    slo_ns: f64,
    /// How many were parked when it was last known that they are.
    reached: u64,
}

/// Ramps `offer` up, and lets all go again.
///
/// # Errors
/// The rung cannot be ramped at all, what it had parked ended wrongly, or the records cannot be written.
pub(super) fn ramp(
    recorder: &mut Recorder,
    line: &mut Line,
    offer: &Offer,
    job: &Job<'_>,
    ends: Ends,
) -> Result<(), StepError> {
    line.show(format!("capacity {}: one start at first", offer.rung()));
    let one_more = OneMore::open(recorder, offer, job)?;
    let in_engine = one_more.session().scope.client.is_some();
    let mut ramp = Ramp {
        room: Room::begin(ends.floor_percent)?,
        residents: Residents::new(offer, job, in_engine),
        function: one_more.session().function.clone(),
        slo_ns: f64::INFINITY,
        reached: 0,
        recorder,
        line,
        offer,
        ends,
        one_more,
    };
    ramp.note(in_engine);
    let gave = ramp.up();
    ramp.down(gave)
}

impl Ramp<'_> {
    /// What the run's words say of it.
    fn note(&mut self, in_engine: bool) {
        let held = match in_engine {
            true => {
                "parked a few at a time by one process, in an engine of its own; one more is started in another engine"
            }
            false => {
                "parked by as many driver processes as it takes; one more is started by another"
            }
        };
        let (starts, on_empty) = self.one_more.starts();
        let session = self.one_more.session();
        self.recorder.about_rung(self.offer.rung(), |info| {
            info.plan = Some(format!(
                "{held}; {starts} starts at a point, {on_empty} on the empty host"
            ));
            info.scope = Some(session.scope.includes.clone());
            info.description = session.description.clone();
            info.function = Some(session.function.clone());
        });
    }

    /// Parks until something gives.
    fn up(&mut self) -> Result<Gave, BenchError> {
        if let Some(gave) = self.empty_host()? {
            return Ok(gave);
        }
        let until = self.ends.until.unwrap_or(u64::MAX);
        let mut at_point = 0;
        while self.residents.count() < until {
            let target = next_point(self.residents.count()).min(until);
            let (parking, stopped) = self.park_up_to(target)?;
            if let Some(Gave::Interrupted) = stopped {
                return Ok(Gave::Interrupted);
            }
            let resident = self.residents.count();
            let mut gave = None;
            // Fewer than at the last point where an engine took all with it.
            if resident > at_point {
                self.weigh(resident, resident - at_point, parking)?;
                at_point = resident;
                gave = self.start_one_more(resident)?;
            }
            // What stopped the parking came first.
            if let Some(gave) = stopped.or(gave) {
                return Ok(gave);
            }
        }
        Ok(Gave::Until)
    }

    /// Measures the host without any parked worker, by which a start's bound is set.
    fn empty_host(&mut self) -> Result<Option<Gave>, BenchError> {
        self.recorder.next_block();
        self.counters(0, phase::BEFORE)?;
        self.say("one more, on the empty host");
        let starts = match self.starts(0) {
            Ok(starts) => starts,
            Err(NoStarts::Gave(gave)) => return Ok(Some(gave)),
            Err(NoStarts::Run(error)) => return Err(error),
        };
        let unloaded_ns = starts.median_ns().unwrap_or(0.0);
        self.slo_ns = match self.ends.slo {
            Some(slo) => slo.as_nanos() as f64,
            None => default_slo_ns(unloaded_ns),
        };
        Ok(None)
    }

    /// Parks until `target` are, or something gives; returns how long the parking took.
    fn park_up_to(&mut self, target: u64) -> Result<(Duration, Option<Gave>), BenchError> {
        let mut took = Duration::ZERO;
        loop {
            let resident = self.residents.count();
            let wanted = target.saturating_sub(resident);
            if wanted == 0 {
                return Ok((took, None));
            }
            let (left, gives) = self.room.left(resident)?;
            if left == 0 {
                return Ok((took, Some(gives)));
            }
            let workers = self.residents.in_one_go(wanted.min(left));
            if workers == 0 {
                let most = self.offer.description.max_workers;
                let words = format!("one engine holds {most} at most");
                return Ok((took, Some(Gave::FailedStart(words))));
            }
            self.say_how_far(resident, workers);
            let (room, recorder) = (&self.room, &*self.recorder);
            match self.residents.park(recorder, workers, &mut || room.stop()) {
                Ok(more) => {
                    took += more;
                    self.reached = self.residents.count();
                }
                // Perhaps a limit of one process: then fewer fit, and a process of one has the last word.
                Err(SessionError::Said { .. })
                    if workers > 1 && self.residents.count() == resident =>
                {
                    self.residents.refused(workers);
                }
                Err(error) => return Ok((took, Some(Gave::from_session(&error)))),
            }
        }
    }

    fn say(&mut self, doing: &str) {
        let name = self.offer.rung();
        let resident = self.residents.count();
        self.line
            .show(format!("capacity {name}: {resident} parked; {doing}"));
    }

    fn say_how_far(&mut self, resident: u64, workers: u64) {
        let memory = MemoryRooms::now().ok();
        let tightest = memory
            .as_ref()
            .and_then(|memory| memory.tightest(self.ends.floor_percent));
        let left = tightest.map_or_else(String::new, |room| {
            format!(", {} left", bytes(room.available_bytes as f64))
        });
        let name = self.offer.rung();
        self.line.show_seldom(|| {
            format!("capacity {name}: {resident} parked{left}; parking {workers} more")
        });
    }

    /// Writes down what `resident` parked workers weigh, of which the last `n` came since the point before, in `parking`.
    fn weigh(&mut self, resident: u64, n: u64, parking: Duration) -> Result<(), BenchError> {
        self.recorder.next_block();
        if let Some(function) = self.residents.function() {
            function.clone_into(&mut self.function);
        }
        self.say("weighing them");
        let parking_ns = u64::try_from(parking.as_nanos()).unwrap_or(u64::MAX);
        let (pss, processes) = self.pss();
        let about = about(self.offer, &self.function, resident);
        let since = About { n, ..about };
        self.recorder
            .value(since, phase::PARKING, Metric::WallNs, parking_ns.into())?;
        self.recorder
            .value(about, phase::PARKED, Metric::PssBytes, pss)?;
        self.recorder
            .value(about, phase::PARKED, Metric::Processes, processes)?;
        self.counters(resident, phase::PARKED)
    }

    /// PSS of what holds them, and in how many processes.
    fn pss(&self) -> (Value, Value) {
        let mut sampler = match Sampler::new() {
            Ok(sampler) => sampler,
            Err(why) => {
                let why = Value::Unavailable(why.to_string());
                return (why.clone(), why);
            }
        };
        let scopes = self.residents.scopes();
        let walks: Vec<_> = scopes.map(|scope| sampler.sample_scope(scope)).collect();
        if let Some(walk) = walks.iter().find(|walk| walk.denied > 0) {
            let reasons = walk.reasons.join("; ");
            let why = format!("{} processes cannot be read: {reasons}", walk.denied);
            let why = Value::Unavailable(why);
            return (why.clone(), why);
        }
        let memory: Memory = walks.iter().map(Walk::sum).sum();
        let processes: usize = walks.iter().map(|walk| walk.processes.len()).sum();
        (memory.pss_bytes.into(), (processes as u64).into())
    }

    /// Writes down the counters of the whole host.
    fn counters(&mut self, resident: u64, phase: &str) -> Result<(), BenchError> {
        let about = about(self.offer, &self.function, resident);
        for (metric, value) in KernelMemory::now()?.metrics() {
            self.recorder.value(about, phase, metric, value.into())?;
        }
        let tasks = kernel_limits::tasks().ok_or("/proc/loadavg cannot be read, mount /proc");
        self.recorder
            .value(about, phase, Metric::Tasks, tasks.into())?;
        Ok(())
    }

    /// The starts of a point.
    fn starts(&mut self, resident: u64) -> Result<Starts, NoStarts> {
        let starts = match self.one_more.measure(self.recorder, resident) {
            Ok(starts) => starts,
            Err(error) => {
                let lost = error.of_rung().map_err(NoStarts::Run)?;
                return Err(NoStarts::Gave(Gave::from_session(&lost)));
            }
        };
        if interrupt::received().is_some() {
            return Err(NoStarts::Gave(Gave::Interrupted));
        }
        match starts.failed {
            Some(why) => Err(NoStarts::Gave(Gave::FailedStart(why))),
            None => Ok(starts),
        }
    }

    /// Starts one more beside `resident`, and says whether that gave.
    fn start_one_more(&mut self, resident: u64) -> Result<Option<Gave>, BenchError> {
        let mut p99_ns = 0.0;
        for miss in 1..=MISSES {
            if miss > 1 {
                self.recorder.next_block();
            }
            self.say("starting one more");
            p99_ns = match self.starts(resident) {
                Ok(starts) => starts.p99_ns().unwrap_or(0.0),
                Err(NoStarts::Gave(gave)) => return Ok(Some(gave)),
                Err(NoStarts::Run(error)) => return Err(error),
            };
            if p99_ns <= self.slo_ns {
                return Ok(None);
            }
        }
        Ok(Some(Gave::SlowStart(format!(
            "one more took {} at p99, over its bound of {} for the {MISSES}rd time in a row; --slo sets that bound",
            duration_ns(p99_ns),
            duration_ns(self.slo_ns)
        ))))
    }

    /// Writes down what gave, lets all go, and looks what is left.
    fn down(self, gave: Result<Gave, BenchError>) -> Result<(), StepError> {
        let Self {
            recorder,
            line,
            offer,
            one_more,
            residents,
            function,
            reached,
            ..
        } = self;
        let about_end = about(offer, &function, reached);
        // First of all: to let them go may take long.
        let written = gave.and_then(|gave| {
            line.clear();
            eprintln!("{}: {reached} parked; {}", offer.rung(), gave.in_words());
            recorder.gave(about_end, gave.word(), reached, gave.in_words())?;
            Ok(gave)
        });
        let released = residents.release(line);
        let closed = one_more.close();
        let gave = written?;
        if matches!(gave, Gave::DriverDied(_)) {
            trouble::clean_up_after(offer).unwrap_or_else(|why| {
                eprintln!("warning: {}: cleaning up: {why}", offer.rung());
            });
        }
        settle()?;
        let about_after = about(offer, &function, 0);
        for (metric, value) in KernelMemory::now().map_err(BenchError::from)?.metrics() {
            recorder.value(about_after, phase::AFTER, metric, value.into())?;
        }
        released?;
        closed?;
        Ok(())
    }
}

fn about<'a>(offer: &'a Offer, function: &'a str, resident: u64) -> About<'a> {
    About {
        rung: offer.rung(),
        function,
        measure: &Measure::Capacity,
        n: resident,
        workers: u32::try_from(resident).unwrap_or(u32::MAX),
        process: 0,
        order: 0,
    }
}

/// Waits until the kernel has freed what was let go, or a while at most.
fn settle() -> Result<(), BenchError> {
    let until = Instant::now() + SETTLE_LIMIT;
    let mut then = KernelMemory::now()?;
    while Instant::now() < until && interrupt::sleep(SETTLE_STEP) {
        let now = KernelMemory::now()?;
        if now.moved_bytes(&then, &SETTLING) < SETTLED_BYTES {
            break;
        }
        then = now;
    }
    Ok(())
}
