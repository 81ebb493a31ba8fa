//! Whether the host still starts processes while a probe takes as many as it gets.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(50);
/// A process that takes so long to start and to end, on however busy a host, was kept from it.
const LIMIT: Duration = Duration::from_secs(10);

/// A thread that starts processes until this is ended or dropped.
#[derive(Debug)]
pub struct HostStarts {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<bool>>,
}

impl HostStarts {
    /// Starts `program`, which ends by itself, again and again.
    pub(crate) fn watch(program: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let program = program.to_owned();
        Self {
            stop,
            thread: Some(thread::spawn(move || all_started(&program, &told))),
        }
    }

    /// Whether each that was started came to its end.
    #[must_use]
    pub fn all_ended(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take();
        thread.is_some_and(|thread| thread.join().unwrap_or(false))
    }
}

impl Drop for HostStarts {
    fn drop(&mut self) {
        self.end();
    }
}

fn all_started(program: &Path, stop: &AtomicBool) -> bool {
    let mut all = true;
    while !stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let started = Command::new(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        all &= started.is_ok() && begun.elapsed() < LIMIT;
        thread::sleep(EVERY);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_noticed() {
        for (program, all) in [("/bin/true", true), ("/nowhere", false)] {
            let starts = HostStarts::watch(Path::new(program));
            thread::sleep(EVERY);
            assert_eq!(starts.all_ended(), all, "{program}");
        }
    }
}
