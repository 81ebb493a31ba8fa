//! A line on the terminal that says how far a run is. It is cut to the terminal's width, so it never wraps. Where there is no
//! terminal (a log, a CI job) a line of its own now and then. No thread keeps it up to date: what is measured meanwhile has the
//! processor to itself.

use std::env;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::base::verbosity;

/// Between two lines of [`Line::show_seldom`].
const SELDOM: Duration = Duration::from_millis(200);

/// Environment variable with the seconds between two lines where there is no terminal.
pub const PROGRESS_VARIABLE: &str = "FAASM_BENCH_PROGRESS_SECONDS";
/// As many if it is not set, and before the first line: what is over sooner needs none.
const IN_A_LOG: Duration = Duration::from_secs(20);

fn in_a_log() -> Duration {
    let given = env::var(PROGRESS_VARIABLE).ok();
    let seconds = given.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(IN_A_LOG, Duration::from_secs)
}

/// The line itself, on standard error; taken away when dropped.
#[derive(Debug, Default)]
pub struct Line {
    bar: Option<ProgressBar>,
    shown: Option<Instant>,
    /// Where there is no terminal: when the last line was written, or the first was to be.
    written: Option<Instant>,
}

impl Line {
    /// Shows `text` in place of what was there; nothing under `--quiet`.
    pub fn show(&mut self, text: String) {
        self.shown = Some(Instant::now());
        if verbosity::is_quiet() {
            return;
        }
        if self.bar.is_none() && !stderr().is_terminal() {
            self.write_seldom(&text, in_a_log());
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            // Every line counts: the next may be long in coming.
            let target = ProgressDrawTarget::stderr_with_hz(u8::MAX);
            let bar = ProgressBar::with_draw_target(None, target);
            match ProgressStyle::with_template("{wide_msg}") {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_message(text);
    }

    /// [`Line::show`], a few times a second at most: for steps so short that showing each would cost more than it tells.
    pub fn show_seldom(&mut self, text: impl FnOnce() -> String) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= SELDOM) {
            self.show(text());
        }
    }

    /// A line of its own, unless the last one is not as old as `every`.
    fn write_seldom(&mut self, text: &str, every: Duration) {
        let last = *self.written.get_or_insert_with(Instant::now);
        if last.elapsed() >= every {
            eprintln!("{text}");
            self.written = Some(Instant::now());
        }
    }

    /// Takes the line away, for something else to be printed.
    pub fn clear(&mut self) {
        self.shown = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Progress of one part.
#[derive(Debug)]
pub struct Progress {
    line: Line,
    part: &'static str,
    begun: Instant,
    total: Duration,
    done: Duration,
}

impl Progress {
    /// Begins a part.
    #[must_use]
    pub fn begin(part: &'static str) -> Self {
        Self {
            line: Line::default(),
            part,
            begun: Instant::now(),
            total: Duration::ZERO,
            done: Duration::ZERO,
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
        let left = remaining(self.begun.elapsed(), self.done, self.total);
        let left = left.map_or(String::new(), |s| format!(", about {s} s left"));
        let share = if self.total.is_zero() {
            0.0
        } else {
            (self.done.as_secs_f64() / self.total.as_secs_f64()).min(1.0)
        };
        let percent = 100.0 * share;
        self.line
            .show(format!("{} {percent:3.0} %{left}: {what}", self.part));
    }

    /// Takes the line away, for something else to be printed.
    pub fn clear(&mut self) {
        self.line.clear();
    }

    /// Prints a warning on a line of its own.
    pub fn warn(&mut self, warning: &str) {
        self.clear();
        eprintln!("warning: {warning}");
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
