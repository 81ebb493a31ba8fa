//! Commands outside of the timed path: set-up, clean-up, versions.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::home;
use measure_core::driver_kit::spawn::{Child, Program};
use nix::sys::wait::WaitStatus;
use nix::unistd::{AccessFlags, access};

use super::error::AsideError;
use super::error_text::ErrorText;
use super::tree;

/// Where system tools are that not every PATH has.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const POLL: Duration = Duration::from_millis(1);

/// The search path of the commands: ours, then the system's directories and `bin/` of the home directory.
pub(super) fn search_path() -> OsString {
    let given = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&given)
        .chain(SYSTEM_DIRS.iter().map(PathBuf::from))
        .chain([home::root().join("bin")]);
    // Only a directory with a colon in its name cannot be joined.
    env::join_paths(dirs).unwrap_or(given)
}

/// The executable `name`: a path, or to be found.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| executable(path));
    }
    env::split_paths(&search_path())
        .map(|dir| dir.join(name))
        .find(|path| executable(path))
}

/// Runs `words` to their end, and kills them with all they started if that takes longer than `limit`.
/// Returns what they printed.
///
/// # Errors
/// They are not there, fail or hang.
pub(super) fn run(
    words: &[String],
    environment: &[(String, String)],
    limit: Duration,
) -> Result<String, AsideError> {
    let Some(name) = words.first() else {
        return Ok(String::new());
    };
    let path = find(name).ok_or_else(|| AsideError::NotInstalled(name.clone()))?;
    let cannot = |cause| AsideError::Cannot {
        name: name.clone(),
        cause,
    };
    let program = Program::new(
        &path,
        words[1..].iter().map(OsStr::new),
        environment.iter().map(|(k, v)| (k.as_str(), v.as_str())),
    )
    .map_err(cannot)?;
    let null = File::open("/dev/null").map_err(cannot)?;
    let mut output = ErrorText::new()?;
    let streams = [null.as_fd(), output.file(), output.file()];
    let mut child = program.spawn(streams).map_err(cannot)?;
    if !wait_for(&child, limit).map_err(cannot)? {
        tree::kill(&mut child, None);
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
        run(&["sh", "-c", script].map(str::to_owned), &[], limit)
    }

    #[test]
    fn output_failures_and_hangs_are_told() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo a; echo b >&2", long).expect("both"), "a\nb\n");
        let error = sh("echo because >&2; exit 3", long).expect_err("fails");
        assert_eq!(error.to_string(), "`sh` ended with exit code 3: because");
        let error = sh("sleep 1000 & sleep 1000", Duration::from_millis(50)).expect_err("hangs");
        assert!(error.to_string().contains("did not end"), "{error}");
        let error = run(&["no-such-command".to_owned()], &[], long).expect_err("missing");
        assert_eq!(error.to_string(), "`no-such-command` is not installed");
        assert!(find("/etc/passwd").is_none() && find("sh").is_some());
    }
}
