//! Programs of others: which version they say they are.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use measure_core::driver_kit::spawn::Program;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// How long a program may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);
/// More than that is no version.
const VERSION_BYTES: u64 = 4096;

/// What `program --version` says in its first line; `None` if it says nothing or does not end.
pub(crate) fn version_line(program: &Path) -> Option<String> {
    version_line_within(program, VERSION_LIMIT)
}

fn version_line_within(program: &Path, limit: Duration) -> Option<String> {
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .ok()?;
    let (output, theirs) = pipe2(OFlag::O_CLOEXEC).ok()?;
    let program = Program::new(program, ["--version".as_ref()], []).ok()?;
    let child = program
        .spawn([null.as_fd(), theirs.as_fd(), null.as_fd()])
        .ok()?;
    drop(theirs);
    if !child.ended(limit).ok()? {
        return None;
    }
    // With all that it has started: nothing holds the other end.
    drop(child);
    let mut text = Vec::new();
    File::from(output)
        .take(VERSION_BYTES)
        .read_to_end(&mut text)
        .ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use driver_testkit::functions::write_script;

    use super::*;

    fn version(script: &str, limit: Duration) -> Option<String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("program");
        write_script(script, &path);
        version_line_within(&path, limit)
    }

    #[test]
    fn the_first_line_counts_and_silence_has_a_limit() {
        assert_eq!(
            version("echo one; echo two", VERSION_LIMIT),
            Some("one".into())
        );
        assert_eq!(version("exit 1", VERSION_LIMIT), None);
        let short = Duration::from_millis(300);
        assert_eq!(version("exec sleep 1000", short), None);
        assert_eq!(version_line(Path::new("/nonexistent")), None);
    }
}
