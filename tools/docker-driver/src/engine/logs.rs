//! What a dead engine last said.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// Read from the end of the log.
const TAIL_BYTES: i64 = 16 * 1024;
/// Lines put into a message, and the length of each.
const LINES: usize = 3;
const LINE_CHARS: usize = 300;

/// The last lines of an engine's log, those that are no mere information if there are any.
pub fn tail(log: &Path) -> Vec<String> {
    telling_lines(&read_end(log))
}

/// Whether the daemon has written that it has put everything away. It then still waits a second or
/// so for its containerd, for nothing that matters.
pub fn is_shut_down(log: &Path) -> bool {
    read_end(log).contains("Daemon shutdown complete")
}

fn read_end(log: &Path) -> String {
    let Ok(mut file) = File::open(log) else {
        return String::new();
    };
    if file.seek(SeekFrom::End(-TAIL_BYTES)).is_err() {
        // Shorter than that: read all of it.
        let _ = file.rewind();
    }
    let mut bytes = Vec::new();
    let _ = file.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn telling_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let mut telling: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| {
            !["level=info", "level=debug", "level=warning"]
                .iter()
                .any(|level| line.contains(level))
        })
        .collect();
    if telling.is_empty() {
        telling = lines;
    }
    let skip = telling.len().saturating_sub(LINES);
    telling[skip..]
        .iter()
        .map(|line| line.chars().take(LINE_CHARS).collect())
        .collect()
}

/// How the engine's init ended, in words.
pub fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(7), _) => "killed by a signal".into(),
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("its init was killed by signal {signal}"),
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_preferred_to_information() {
        let text = "time=1 level=info msg=a\ntime=2 level=error msg=b\nfailed to start daemon: c\ntime=3 level=info msg=d\n";
        assert_eq!(
            telling_lines(text),
            ["time=2 level=error msg=b", "failed to start daemon: c"]
        );
        assert_eq!(
            telling_lines("time=1 level=info msg=a\n\n"),
            ["time=1 level=info msg=a"]
        );
        assert!(telling_lines("").is_empty());
    }
}
