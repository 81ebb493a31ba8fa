//! What all components of a [`FaasletEngine`](crate::FaasletEngine) have together: an engine of their own, and a runtime for their waiting.
//!
//! The engine is another because its code is: each loop and function looks whether its time has come (epochs). The way
//! of preview-1 programs, a signal that ends them wherever they are, needs every call to the host to come back soon by
//! itself; those of `wasmtime-wasi` may wait as long as they like, and are futures that can be dropped instead.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Handle, Runtime};
use wasmtime::Engine;

use crate::deadline::Watch;
use crate::error::FaasletError;
use crate::settings::EngineSettings;

/// Where components are compiled and run.
pub(crate) struct Components {
    engine: Engine,
    waiting: Handle,
}

impl Components {
    /// Reserves the slots' address space.
    pub(crate) fn new(settings: &EngineSettings) -> Result<Self, FaasletError> {
        let engine = Engine::new(&settings.component_config()).map_err(|e| FaasletError::Engine {
            cause: format!("{e:#}"),
            hint: "; fewer workers at once need less address space, and `ulimit -v` and vm.overcommit_memory bound it",
        })?;
        Ok(Self {
            engine,
            waiting: waiting()?,
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What they wait by.
    pub(crate) fn waiting(&self) -> &Handle {
        &self.waiting
    }

    /// Runs `work` on this thread until it is done, or `watch` is late; then it is dropped where it waits.
    ///
    /// # Errors
    /// It failed, or is late.
    pub(crate) fn drive<T>(
        &self,
        watch: &Watch,
        work: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let mut work = pin!(work);
        let mut in_time = pin!(poll_fn(|cx| {
            // Before it is asked, so that no call to wake up is missed.
            watch.wake_by(cx.waker());
            if let Err(stop) = watch.in_time() {
                return Poll::Ready(Err(stop.into()));
            }
            work.as_mut().poll(cx)
        }));
        let _entered = self.waiting.enter();
        // Most never wait, and need nothing to be woken by.
        let first = in_time
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match first {
            Poll::Ready(done) => done,
            Poll::Pending => self.waiting.block_on(in_time),
        }
    }
}

/// The process's one runtime, whose thread looks for timers and descriptors that somebody waits for. No component runs on it.
fn waiting() -> Result<Handle, FaasletError> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("components")
        .enable_all()
        .build()
        .map_err(|e| FaasletError::Engine {
            cause: format!("no thread for components to wait by: {e}"),
            hint: "",
        })?;
    Ok(RUNTIME.get_or_init(|| runtime).handle().clone())
}
