//! What a start of our rungs costs over the least that it could: a minimal hand-written Wasmtime loop with
//! the same configuration and limits, a bare thread, a bare hand-off. All in one interleaved run. Then our own files and
//! namespaces against the libraries that they stand for.

#[path = "overhead/files.rs"]
mod files;
#[path = "overhead/netns.rs"]
mod netns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, Builder};

use driver_testkit::overhead::ratio_row;
use faaslet::seat::{Found, Network, SCOPE, Seats};
use faaslet::thread::STACK_BYTES;
use faaslet::waiting::WaitingThreads;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError, Store};
use measure_core::base::clock::{PhaseClock, now_ns};
use measure_core::base::home;
use measure_core::driver_kit::cgroup::OwnScope;
use stats::median;
use wasmtime::{InstancePre, Linker, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

const ROUNDS: usize = 200;
/// Starts of one side before the next has its turn.
const BLOCK: usize = 20;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let store = Store::at(home::store());
    let id = "demo/noop".parse()?;
    if store.wasm(&id).is_err() {
        eprintln!(
            "SKIPPED: overhead: no demo/noop in {} (make functions)",
            store.root().display()
        );
        return Ok(());
    }
    let scope = OwnScope::enter(SCOPE);
    let engine = FaasletEngine::new(EngineSettings::default())?;
    let function = Function::load(&engine, &store, &id, Grants::default())?;
    let minimal = Minimal::new(&engine, &store.load(&engine, &id)?)?;
    let seats = match Seats::make(1, Found::Seat, Network::NotOffered, &scope) {
        Ok(seats) => Some(Arc::new(seats)),
        Err(e) => {
            eprintln!("SKIPPED: faaslet, faaslet-pooled: {e}");
            None
        }
    };
    let waiting = seats
        .as_ref()
        .map(|seats| WaitingThreads::start(std::slice::from_ref(&function), seats))
        .transpose()?;
    let bare = HandOff::start()?;

    let mut sides = vec![
        Side::new("minimal loop", Box::new(|| minimal.start())),
        Side::new("wasm", {
            let function = function.clone();
            Box::new(move || {
                let mut clock = PhaseClock::start();
                let result = function.start(&mut clock);
                phases(clock, result)
            })
        }),
        Side::new("thread", Box::new(thread_start)),
        Side::new("hand-off", Box::new(|| bare.hand_over())),
    ];
    if let (Some(seats), Some(waiting)) = (&seats, &waiting) {
        sides.push(Side::new(
            "faaslet",
            Box::new(|| {
                let clock = PhaseClock::start();
                let (clock, result) = faaslet::thread::start(&function, seats, 0, clock);
                phases(clock, result)
            }),
        ));
        sides.push(Side::new(
            "faaslet-pooled",
            Box::new(|| {
                let (clock, result) = waiting.hand_over(0, PhaseClock::start());
                phases(clock, result)
            }),
        ));
    }
    interleave(&mut sides, ROUNDS)?;
    report(&sides);
    files::compare(&engine)?;
    if let Err(e) = faaslet::netns::probe() {
        eprintln!("SKIPPED: a network namespace: {e}");
        return Ok(());
    }
    netns::compare()
}

/// `rounds` blocks of each side, after one that is not measured.
fn interleave(sides: &mut [Side<'_>], rounds: usize) -> Outcome<()> {
    for round in 0..=rounds {
        for side in &mut *sides {
            side.block(round > 0)?;
        }
    }
    Ok(())
}

fn line(what: &str, aim: f64, ours: &[f64], peer: &[f64], of: &str) {
    println!("{}{of}", ratio_row(what, aim, ours, peer));
}

/// Phases of a start that went well; none of a peer.
type Phases = Vec<(&'static str, u64)>;

fn phases(clock: PhaseClock, result: Result<(), StartError>) -> Outcome<Phases> {
    result?;
    Ok(clock.finish().phases)
}

struct Side<'a> {
    name: &'static str,
    start: Box<dyn FnMut() -> Outcome<Phases> + 'a>,
    /// The median of each block, in nanoseconds.
    blocks: Vec<f64>,
    phases: Vec<(&'static str, Vec<f64>)>,
}

impl<'a> Side<'a> {
    fn new(name: &'static str, start: Box<dyn FnMut() -> Outcome<Phases> + 'a>) -> Self {
        Self {
            name,
            start,
            blocks: Vec::new(),
            phases: Vec::new(),
        }
    }

    fn block(&mut self, measured: bool) -> Outcome<()> {
        let mut times = Vec::with_capacity(BLOCK);
        for _ in 0..BLOCK {
            let begun = now_ns();
            let phases = (self.start)()?;
            times.push((now_ns() - begun) as f64);
            if !measured {
                continue;
            }
            if self.phases.is_empty() {
                self.phases = phases.iter().map(|&(name, _)| (name, Vec::new())).collect();
            }
            for ((_, all), (_, ns)) in self.phases.iter_mut().zip(phases) {
                all.push(ns as f64);
            }
        }
        if measured {
            self.blocks.extend(median(&times));
        }
        Ok(())
    }
}

fn report(sides: &[Side<'_>]) {
    let blocks = |name: &str| {
        sides
            .iter()
            .find(|side| side.name == name)
            .map(|side| side.blocks.as_slice())
    };
    let line = |what: &str, aim: f64, ours: Option<&[f64]>, peer: Option<Vec<f64>>| {
        if let (Some(ours), Some(peer)) = (ours, peer) {
            line(what, aim, ours, &peer, &format!(" blocks of {BLOCK}"));
        }
    };
    let minimal = blocks("minimal loop").unwrap_or_default();
    line(
        "wasm / minimal Wasmtime loop",
        1.1,
        blocks("wasm"),
        Some(minimal.to_vec()),
    );
    let bound = blocks("hand-off").map(|hand_off| {
        let both = hand_off.iter().zip(minimal);
        both.map(|(hand_off, minimal)| 2.0 * hand_off + minimal)
            .collect()
    });
    line(
        "faaslet-pooled / (2 bare hand-offs + minimal loop)",
        1.0,
        blocks("faaslet-pooled"),
        bound,
    );
    let bound = blocks("thread").map(|thread| thread.iter().map(|ns| ns + 60e3).collect());
    line(
        "faaslet / (bare thread + 60 us)",
        1.0,
        blocks("faaslet"),
        bound,
    );
    for side in sides {
        let phases: Vec<String> = side
            .phases
            .iter()
            .map(|(name, all)| format!("{name} {:.2}", median(all).unwrap_or(f64::NAN) / 1e3))
            .collect();
        let total = median(&side.blocks).unwrap_or(f64::NAN) / 1e3;
        println!(
            "phases of {} (us, medians): total {total:.2} {}",
            side.name,
            phases.join(" ")
        );
    }
}

fn thread_start() -> Outcome<Phases> {
    let thread = Builder::new().stack_size(STACK_BYTES).spawn(|| ())?;
    thread.join().map_err(|_| "a thread panicked")?;
    Ok(Phases::new())
}

/// A waiting thread that is handed nothing to do.
struct HandOff {
    state: Arc<AtomicU32>,
    thread: thread::Thread,
}

impl HandOff {
    fn start() -> std::io::Result<Self> {
        let state = Arc::new(AtomicU32::new(0));
        let (theirs, caller) = (state.clone(), thread::current());
        let thread = Builder::new().stack_size(STACK_BYTES).spawn(move || {
            // It ends with the process.
            loop {
                while theirs.load(Ordering::Acquire) != 1 {
                    thread::park();
                }
                theirs.store(2, Ordering::Release);
                caller.unpark();
            }
        })?;
        Ok(Self {
            state,
            thread: thread.thread().clone(),
        })
    }

    fn hand_over(&self) -> Outcome<Phases> {
        self.state.store(1, Ordering::Release);
        self.thread.unpark();
        while self.state.load(Ordering::Acquire) != 2 {
            thread::park();
        }
        Ok(Phases::new())
    }
}

/// What anyone would write who reads Wasmtime's guide: same configuration, limits and deadline.
struct Minimal {
    engine: FaasletEngine,
    pre: InstancePre<State>,
}

struct State {
    wasi: WasiP1Ctx,
    limits: StoreLimits,
}

impl Minimal {
    fn new(engine: &FaasletEngine, module: &wasmtime::Module) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine.wasmtime());
        p1::add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi)?;
        Ok(Self {
            engine: engine.clone(),
            pre: linker.instantiate_pre(module)?,
        })
    }

    fn start(&self) -> Outcome<Phases> {
        let settings = self.engine.settings();
        let state = State {
            wasi: WasiCtxBuilder::new().build_p1(),
            limits: StoreLimitsBuilder::new()
                .memory_size(usize::try_from(settings.memory_limit_bytes)?)
                .table_elements(settings.table_limit_elements as usize)
                .build(),
        };
        let mut store = wasmtime::Store::new(self.engine.wasmtime(), state);
        store.limiter(|state| &mut state.limits);
        let instance = self.pre.instantiate(&mut store)?;
        instance
            .get_typed_func::<(), ()>(&mut store, "_start")?
            .call(&mut store, ())?;
        Ok(Phases::new())
    }
}
