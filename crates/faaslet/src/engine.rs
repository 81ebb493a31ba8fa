//! The engine with its epoch ticker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use measure_core::interrupt;
use wasmtime::Engine;

use crate::error::FaasletError;
use crate::settings::{EngineSettings, MAX_MEMORY_LIMIT_BYTES};

/// After a signal, how long starts under way may take to end by themselves.
const GRACE: Duration = Duration::from_secs(1);

/// An engine that compiles and runs functions under one [`EngineSettings`]. Clones share it; its epoch
/// advances as long as one of them lives.
#[derive(Clone)]
pub struct FaasletEngine {
    engine: Engine,
    settings: Arc<EngineSettings>,
    ticker: Arc<Ticker>,
}

impl FaasletEngine {
    /// Reserves the slots' address space and starts the ticker.
    ///
    /// # Errors
    /// Limits out of range, or the host refuses that much address space.
    pub fn new(settings: EngineSettings) -> Result<Self, FaasletError> {
        check(&settings)?;
        let engine = Engine::new(&settings.config()).map_err(|e| FaasletError::Engine {
            cause: format!("{e:#}"),
            hint: "; fewer workers at once need less address space, and `ulimit -v` and vm.overcommit_memory bound it",
        })?;
        let ticker = Ticker::start(&engine, &settings).map_err(|e| FaasletError::Engine {
            cause: e.to_string(),
            hint: "",
        })?;
        Ok(Self {
            engine,
            settings: Arc::new(settings),
            ticker: Arc::new(ticker),
        })
    }

    /// The engine itself.
    #[must_use]
    pub fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    /// What is in force.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Whether starts under way were cut short because of a signal.
    pub(crate) fn cut_short(&self) -> bool {
        self.ticker.shared.cut.load(Ordering::Relaxed)
    }
}

fn check(settings: &EngineSettings) -> Result<(), FaasletError> {
    let range = |what: &str, ok: bool, cause: &str| {
        if ok {
            Ok(())
        } else {
            Err(FaasletError::refused(what, cause))
        }
    };
    range(
        "the memory limit",
        (1 << 16..=MAX_MEMORY_LIMIT_BYTES).contains(&settings.memory_limit_bytes),
        "it must be 64 KiB to 4 GiB",
    )?;
    range(
        "the number of instances",
        (1..=100_000).contains(&settings.instances),
        "it must be 1 to 100000",
    )?;
    range(
        "the tick",
        settings.tick >= Duration::from_millis(1),
        "it must be at least 1 ms",
    )
}

/// Advances the epoch until dropped.
struct Ticker {
    shared: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct TickerState {
    stop: AtomicBool,
    cut: AtomicBool,
}

impl Ticker {
    fn start(engine: &Engine, settings: &EngineSettings) -> std::io::Result<Self> {
        let shared = Arc::new(TickerState::default());
        let (state, engine) = (shared.clone(), engine.weak());
        let (tick, ticks) = (settings.tick, settings.deadline_ticks());
        let thread = thread::Builder::new()
            .name("epoch".to_owned())
            .stack_size(64 << 10)
            .spawn(move || {
                let mut interrupted: Option<Instant> = None;
                while !state.stop.load(Ordering::Relaxed) {
                    thread::park_timeout(tick);
                    let Some(engine) = engine.upgrade() else {
                        break;
                    };
                    engine.increment_epoch();
                    if interrupt::received().is_none() {
                        continue;
                    }
                    let since = *interrupted.get_or_insert_with(Instant::now);
                    if since.elapsed() >= GRACE && !state.cut.swap(true, Ordering::Relaxed) {
                        // Every deadline passes at once: what still computes is trapped.
                        (0..ticks).for_each(|_| engine.increment_epoch());
                    }
                }
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot panic; and if it did, the epoch no longer matters.
            let _ = thread.join();
        }
    }
}
