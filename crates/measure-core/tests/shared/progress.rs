//! The line of progress on a real terminal: a pty of 40 columns, by `script`.

use std::io::IsTerminal;
use std::process::Command;
use std::time::Duration;

use measure_core::base::progress::{PROGRESS_VARIABLE, Progress};

/// Set in the process that shows progress.
const SHOWS: &str = "MEASURE_CORE_TEST_SHOWS";
const COLUMNS: usize = 40;

/// A terminal without a memory: how often what it was sent ran over its right edge.
#[derive(Default)]
struct Terminal {
    column: usize,
    wraps: usize,
}

impl Terminal {
    fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' | '\n' => self.column = 0,
                // A control sequence ends with its first letter.
                '\x1b' => while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {},
                c if c.is_control() => {}
                _ if self.column == COLUMNS => {
                    self.wraps += 1;
                    self.column = 1;
                }
                _ => self.column += 1,
            }
        }
    }
}

#[test]
fn a_line_longer_than_the_terminal_is_cut_and_does_not_wrap() {
    let mut wide = Terminal::default();
    wide.feed(&format!("\x1b[2K{}\r{}", "x".repeat(40), "x".repeat(41)));
    assert_eq!(wide.wraps, 1, "the terminal notices");

    let exe = std::env::current_exe().expect("this program");
    let shows = format!(
        "stty rows 24 cols {COLUMNS}; {} --exact --nocapture progress::shows_progress >/dev/null",
        exe.display()
    );
    let script = Command::new("script")
        .args(["-qec", &shows, "/dev/null"])
        .envs([(SHOWS, "1"), ("TERM", "xterm")])
        .output();
    let output = match script {
        Ok(output) => output,
        Err(error) => return eprintln!("SKIPPED: no `script`: {error}"),
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    for part in ["part   0 %, about 40 s left: a step", "warning: w"] {
        assert!(shown.contains(part), "{part} in {shown:?}");
    }
    let mut terminal = Terminal::default();
    terminal.feed(&shown);
    assert_eq!(terminal.wraps, 0, "{shown:?}");
}

#[test]
fn without_a_terminal_lines_come_now_and_then() {
    let exe = std::env::current_exe().expect("this program");
    let shown_every = |seconds: &str| {
        let output = Command::new(&exe)
            .args(["--exact", "--nocapture", "progress::writes_progress"])
            .envs([(SHOWS, "1"), (PROGRESS_VARIABLE, seconds)])
            .output()
            .expect("this program");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let shown = shown_every("0");
    let lines: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with("part"))
        .collect();
    assert_eq!(
        lines,
        [
            "part   0 %, about 40 s left: a step",
            "part   0 %, about 40 s left: another"
        ]
    );
    // What is over sooner than that is not worth a line.
    assert!(!shown_every("3600").contains("part"));
}

/// Does nothing unless the other test runs it.
#[test]
fn writes_progress() {
    if std::env::var_os(SHOWS).is_none() {
        return;
    }
    let mut progress = Progress::begin("part");
    progress.expect(Duration::from_secs(40));
    progress.show("a step");
    progress.show("another");
}

/// Does nothing unless the other test runs it.
#[test]
fn shows_progress() {
    if std::env::var_os(SHOWS).is_none() {
        return;
    }
    assert!(std::io::stderr().is_terminal());
    let mut progress = Progress::begin("part");
    progress.expect(Duration::from_secs(40));
    progress.show("a step");
    progress.show(&"a long name of a größer step ".repeat(9));
    progress.warn("w");
    progress.show(&"another ".repeat(40));
}
