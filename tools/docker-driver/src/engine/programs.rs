//! Programs of an engine: where they are, which version they say they are.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use measure_core::base::programs::{find_in, search_path};

/// Where the executable `name` is, of an engine or of what it starts.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    find_in(name, &search_path(&[]))
}

/// Versions of the engine's parts, from the executables.
pub fn versions() -> &'static str {
    static VERSIONS: OnceLock<String> = OnceLock::new();
    VERSIONS.get_or_init(|| {
        // All at once: each takes some tens of milliseconds.
        let running = [
            ("docker", "dockerd"),
            ("containerd", "containerd"),
            ("runc", "runc"),
        ]
        .map(|(name, program)| {
            let run = Command::new(find(program).unwrap_or_else(|| program.into()))
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            (name, run)
        });
        let [dockerd, containerd, runc] = running.map(|(name, run)| {
            let output = run.and_then(std::process::Child::wait_with_output);
            let version = output
                .ok()
                .and_then(|output| pick_version(&String::from_utf8_lossy(&output.stdout)))
                .unwrap_or_else(|| "not installed".into());
            format!("{name} {version}")
        });
        format!("{dockerd} ({containerd}, {runc})")
    })
}

/// The first word with a digit in it that looks like a version.
fn pick_version(text: &str) -> Option<String> {
    text.split_whitespace()
        .map(|word| word.trim_end_matches(','))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_tools_print() {
        for (text, version) in [
            (
                "Docker version 20.10.24+dfsg1, build 5d6db84",
                "20.10.24+dfsg1",
            ),
            (
                "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1",
                "1.6.20~ds1",
            ),
            ("runc version 1.1.5+ds1\ncommit: 1.1.5", "1.1.5+ds1"),
        ] {
            assert_eq!(pick_version(text).as_deref(), Some(version));
        }
        assert_eq!(pick_version("no such thing"), None);
    }
}
