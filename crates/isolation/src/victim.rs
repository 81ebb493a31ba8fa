//! The process of the host that probes aim at.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// functions/isolation/victim.c at work; killed on drop, and at its end of input if we are killed.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Child,
    /// Where the token lies in its memory, in hexadecimal.
    pub(crate) address: String,
    signals: Arc<AtomicU32>,
    told: u32,
}

impl Victim {
    /// # Errors
    /// It cannot be started, or says nothing.
    pub(crate) fn start(program: &Path, token: &str) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg(token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take();
        let mut lines = BufReader::new(stdout.ok_or_else(|| io::Error::other("no pipe"))?);
        let mut address = String::new();
        lines.read_line(&mut address)?;
        if address.is_empty() {
            let _ = child.kill();
            let status = child.wait()?;
            return Err(io::Error::other(format!("it ended ({status})")));
        }
        let signals = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&signals);
        thread::spawn(move || count(lines, &counted));
        Ok(Self {
            child,
            address: address.trim().to_owned(),
            signals,
            told: 0,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether a signal came since this was asked last, or comes `within` some time.
    pub(crate) fn was_signalled(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            let now = self.signals.load(Ordering::Acquire);
            if now != self.told {
                self.told = now;
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it still lives: a probe may have ended it.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

fn count(lines: BufReader<ChildStdout>, signals: &AtomicU32) {
    for _ in lines.lines().map_while(Result::ok) {
        signals.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
