//! A thread that does asynchronous work until it is let go.

use std::future::Future;
use std::io;
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

/// The thread. Dropping it ends its work, wherever that is, and waits for it.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Has a thread called `name` do what `begin` makes, which is called at once, where sockets can be handed to it.
    ///
    /// # Errors
    /// No thread, no descriptors, or `begin` fails.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        name: &str,
        begin: impl FnOnce() -> io::Result<F>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let work = {
            let _within = runtime.enter();
            begin()?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new().name(name.into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = work => {}
                    // Also when its sender is gone.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
