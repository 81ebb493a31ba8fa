//! Commands outside of the timed path: set-up, clean-up, versions.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::{home, programs};
use measure_core::driver_kit::spawn::{Child, Program};
use nix::sys::wait::WaitStatus;

use super::error::AsideError;
use super::error_text::ErrorText;
use super::tree;

const POLL: Duration = Duration::from_millis(1);

/// The search path of the commands: that of all programs, then `bin/` of the home directory.
pub(super) fn search_path() -> OsString {
    programs::search_path(&[home::root().join("bin")])
}

/// The executable `name`: a path, or to be found.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    programs::find_in(name, &search_path())
}

/// What runs `words`, of which the first is the executable.
///
/// # Errors
/// It is not there, or cannot be called so.
pub(super) fn program(
    words: &[String],
    environment: &[(String, String)],
) -> Result<Program, AsideError> {
    let name = words.first().map_or("", String::as_str);
    let path = find(name).ok_or_else(|| AsideError::NotInstalled(name.to_owned()))?;
    let arguments = words.iter().skip(1).map(OsStr::new);
    let environment = environment.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    Program::new(&path, arguments, environment).map_err(AsideError::cannot(name))
}

/// Runs `words` to their end, and kills them with all they started if that takes longer than `limit`.
/// Returns what they printed.
///
/// # Errors
/// They are not there, fail or hang.
pub(super) fn run_aside(
    words: &[String],
    environment: &[(String, String)],
    limit: Duration,
) -> Result<String, AsideError> {
    let Some(name) = words.first() else {
        return Ok(String::new());
    };
    let program = program(words, environment)?;
    let cannot = AsideError::cannot(name);
    let null = File::open("/dev/null").map_err(&cannot)?;
    let mut output = ErrorText::new()?;
    let streams = [null.as_fd(), output.file(), output.file()];
    let mut child = program.spawn(streams).map_err(&cannot)?;
    if !wait_for(&child, limit).map_err(&cannot)? {
        tree::kill_tree(&mut child, None);
        return Err(AsideError::Hung {
            name: name.clone(),
            limit,
        });
    }
    match child.reap().map_err(cannot)? {
        WaitStatus::Exited(_, 0) => Ok(output.text()),
        status => Err(AsideError::Failed {
            name: name.clone(),
            status,
            said: output.last_lines(),
        }),
    }
}

/// Waits for the end of `child`, signals to us or not.
pub(super) fn wait_for(child: &Child, limit: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + limit;
    while !child.ended(Duration::ZERO)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<String, AsideError> {
        run_aside(&["sh", "-c", script].map(str::to_owned), &[], limit)
    }

    #[test]
    fn output_failures_and_hangs_are_told() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo a; echo b >&2", long).expect("both"), "a\nb\n");
        let error = sh("echo because >&2; exit 3", long).expect_err("fails");
        assert_eq!(error.to_string(), "`sh` ended with exit code 3: because");
        let error = sh("sleep 1000 & sleep 1000", Duration::from_millis(50)).expect_err("hangs");
        assert!(error.to_string().contains("did not end"), "{error}");
        let error = run_aside(&["no-such-command".to_owned()], &[], long).expect_err("missing");
        assert_eq!(error.to_string(), "`no-such-command` is not installed");
        assert!(find("/etc/passwd").is_none() && find("sh").is_some());
    }
}
