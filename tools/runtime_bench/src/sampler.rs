//! A thread that walks a scope's memory over its whole life.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use measure_core::contract::Scope;
use probes::memory::{Memory, MemoryError, Sampler, Walk};

/// Passes to make once all workers are parked; the table shows their median.
const PARKED_WALKS: usize = 3;
/// Between passes the thread sleeps this many times as long as the last one took, so that it takes at most
/// a tenth of a CPU from what it watches, within limits.
const REST: u32 = 9;
const SHORTEST_REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_millis(500);
/// Once parked nothing moves any more, so passes may follow closely.
const PARKED_REST: Duration = Duration::from_millis(30);

/// One pass, in brief.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// When it began.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Sum over the scope.
    pub memory: Memory,
    /// Processes in it.
    pub processes: u64,
    /// The client's PSS, where there is one.
    pub client_pss_bytes: Option<u64>,
}

/// What was seen of a scope from ready to released.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// The pass before any worker was started.
    pub ready: Vec<Pass>,
    /// Passes while all were parked.
    pub parked: Vec<Pass>,
    /// The largest sum of any pass.
    pub peak_pss_bytes: u64,
    /// How many passes in all.
    pub walks: u64,
    /// The scope's processes, as of the last pass.
    pub pids: Vec<i32>,
    /// Why the sums would be wrong: processes that may not be read.
    pub unreadable: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Ready,
    Parking,
    Parked,
    Over,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    life: Life,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        self.lock().stage = stage;
        self.changed.notify_all();
    }

    /// Waits until `enough`, or a signal comes to us.
    fn wait(&self, enough: impl Fn(&State) -> bool) {
        let mut state = self.lock();
        while !enough(&state) && interrupt::received().is_none() {
            let waited = self.changed.wait_timeout(state, Duration::from_millis(50));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread at work.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts to watch `scope`.
    ///
    /// # Errors
    /// This kernel or user cannot read the memory of processes.
    pub fn start(scope: Scope) -> Result<Self, MemoryError> {
        let mut sampler = Sampler::new()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                stage: Stage::Ready,
                life: Life::default(),
            }),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || watch(&mut sampler, &scope, &theirs));
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Waits until the scope has been seen without workers; from here on they are being parked.
    pub fn ready(&self) {
        self.shared.wait(|state| !state.life.ready.is_empty());
        self.shared.set(Stage::Parking);
    }

    /// All are parked: waits until that has been seen.
    pub fn parked(&self) {
        self.shared.set(Stage::Parked);
        self.shared
            .wait(|state| state.life.parked.len() >= PARKED_WALKS);
    }

    /// Ends the thread and returns what it saw.
    #[must_use]
    pub fn finish(mut self) -> Life {
        self.end();
        std::mem::take(&mut self.shared.lock().life)
    }

    fn end(&mut self) {
        self.shared.set(Stage::Over);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

fn watch(sampler: &mut Sampler, scope: &Scope, shared: &Shared) {
    loop {
        let before = shared.lock().stage;
        if before == Stage::Over {
            return;
        }
        let walk = sampler.sample_scope(scope);
        let took = Duration::from_nanos(walk.end_ns.saturating_sub(walk.start_ns));
        let mut state = shared.lock();
        // A pass during which the stage changed belongs to neither.
        let stage = if state.stage == before {
            before
        } else {
            Stage::Parking
        };
        note(&mut state.life, &walk, stage);
        shared.changed.notify_all();
        let rest = if state.stage == Stage::Parked {
            PARKED_REST
        } else {
            (took * REST).clamp(SHORTEST_REST, LONGEST_REST)
        };
        let until = Instant::now() + rest;
        let now = state.stage;
        while state.stage == now {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn note(life: &mut Life, walk: &Walk, stage: Stage) {
    let pass = Pass {
        start_ns: walk.start_ns,
        end_ns: walk.end_ns,
        memory: walk.sum(),
        processes: walk.processes.len() as u64,
        client_pss_bytes: walk.client.map(|c| c.memory.pss_bytes),
    };
    match stage {
        Stage::Ready => life.ready.push(pass),
        Stage::Parked => life.parked.push(pass),
        Stage::Parking | Stage::Over => {}
    }
    if walk.denied > 0 {
        life.unreadable = Some(format!(
            "{} processes of the scope could not be read: {}",
            walk.denied,
            walk.reasons.join("; ")
        ));
    }
    life.walks += 1;
    life.peak_pss_bytes = life.peak_pss_bytes.max(pass.memory.pss_bytes);
    life.pids = walk.processes.iter().map(|p| p.pid).collect();
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// Of a process of its own, as in this one other tests allocate and free meanwhile: `tail` keeps what it was last sent.
    #[test]
    fn a_life_is_seen_in_its_stages() {
        let block = vec![1_u8; 64 << 20];
        let mut child = Command::new("tail")
            .args(["-c", &block.len().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("tail starts");
        let mut input = child.stdin.take().expect("piped");
        let scope = Scope {
            roots: vec![child.id().cast_signed()],
            ..Scope::default()
        };
        let watcher = Watcher::start(scope).expect("readable");
        watcher.ready();
        input.write_all(&block).expect("tail reads");
        watcher.parked();
        let life = watcher.finish();
        drop(input);
        child.wait().expect("tail ends");
        assert!(life.parked.len() >= PARKED_WALKS);
        let (ready, parked) = (
            life.ready[0].memory.pss_bytes,
            life.parked[0].memory.pss_bytes,
        );
        assert!(parked > ready + (60 << 20), "{ready} to {parked}");
        assert!(life.peak_pss_bytes >= parked);
        assert!(life.unreadable.is_none());
    }
}
