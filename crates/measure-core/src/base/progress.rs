//! A line on the terminal that says how far a run is; nothing where there is no terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Progress of one part.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    part: &'static str,
    begun: Instant,
    total: Duration,
    done: Duration,
    shown: bool,
}

impl Progress {
    /// Begins a part.
    #[must_use]
    pub fn begin(part: &'static str) -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            part,
            begun: Instant::now(),
            total: Duration::ZERO,
            done: Duration::ZERO,
            shown: false,
        }
    }

    /// Expects `more` to come.
    pub fn expect(&mut self, more: Duration) {
        self.total += more;
    }

    /// Counts `part` of what was expected as done.
    pub fn done(&mut self, part: Duration) {
        self.done += part;
    }

    /// Shows what is being done.
    pub fn show(&mut self, what: &str) {
        if !self.terminal {
            return;
        }
        let left = remaining(self.begun.elapsed(), self.done, self.total);
        let left = left.map_or(String::new(), |s| format!(", about {s} s left"));
        let share = if self.total.is_zero() {
            0.0
        } else {
            (self.done.as_secs_f64() / self.total.as_secs_f64()).min(1.0)
        };
        let line = format!("{} {:3.0} %{left}: {what}", self.part, 100.0 * share);
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K{line:.110}");
        let _ = err.flush();
        self.shown = true;
    }

    /// Takes the line away, for something else to be printed.
    pub fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }

    /// Prints a warning on a line of its own.
    pub fn warn(&mut self, warning: &str) {
        self.clear();
        eprintln!("warning: {warning}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Seconds left: what is expected to come, corrected by how wrong the expectation has been so far.
fn remaining(elapsed: Duration, done: Duration, total: Duration) -> Option<u64> {
    if done.is_zero() || total.is_zero() {
        return (!total.is_zero()).then_some(total.as_secs());
    }
    let pace = elapsed.as_secs_f64() / done.as_secs_f64();
    Some((total.saturating_sub(done).as_secs_f64() * pace).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_the_pace_so_far() {
        let s = Duration::from_secs;
        assert_eq!(remaining(s(0), s(0), s(0)), None);
        assert_eq!(remaining(s(0), s(0), s(40)), Some(40));
        assert_eq!(remaining(s(20), s(10), s(40)), Some(60));
        assert_eq!(remaining(s(20), s(50), s(40)), Some(0));
    }
}
