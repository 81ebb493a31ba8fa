//! Programs of others: where they are, what they say of themselves.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// Where daemons and system tools are installed, which not every PATH has.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The search path for a program and what it starts: `$PATH`, the system's directories, then `more`.
#[must_use]
pub fn search_path(more: &[PathBuf]) -> OsString {
    let given = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&given)
        .chain(SYSTEM_DIRS.iter().map(PathBuf::from))
        .chain(more.iter().cloned());
    // Only a directory with a colon in its name cannot be joined.
    env::join_paths(dirs).unwrap_or(given)
}

/// The executable `name`: itself if it is a path, else the first in the directories of `search_path`. What is found
/// can be started from any directory.
#[must_use]
pub fn find_in(name: impl AsRef<OsStr>, search_path: &OsStr) -> Option<PathBuf> {
    let here = env::current_dir().unwrap_or_else(|_| ".".into());
    which::which_in(name, Some(search_path), here).ok()
}

/// The first file called `name` in the directories of `search_path`, whether or not it may be executed: what a shell names
/// where [`find_in`] finds nothing.
#[must_use]
pub fn file_in(name: impl AsRef<OsStr>, search_path: &OsStr) -> Option<PathBuf> {
    let name = name.as_ref();
    let mut paths = env::split_paths(search_path).map(|dir| dir.join(name));
    paths.find(|path| path.is_file())
}

/// [`find_in`] the directories of `$PATH`.
#[must_use]
pub fn on_path(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    find_in(name, &env::var_os("PATH").unwrap_or_default())
}

/// Why a program does not say its version.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// It is not installed, or not executable.
    #[error("cannot run {program}: {cause}")]
    Run {
        /// As it was called.
        program: String,
        /// What the kernel says.
        #[source]
        cause: std::io::Error,
    },
    /// It does not know `--version`, or cannot do even that.
    #[error("{program} --version ended with {status}")]
    Failed {
        /// As it was called.
        program: String,
        /// Its exit code or signal.
        status: ExitStatus,
    },
    /// It ended well and said nothing.
    #[error("{0} --version prints nothing")]
    Silent(String),
}

/// The first line that `program --version` prints, for notes about tools.
///
/// # Errors
/// It is not installed, or fails.
pub fn version_of(program: &str) -> Result<String, VersionError> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|cause| VersionError::Run {
            program: program.to_owned(),
            cause,
        })?;
    if !output.status.success() {
        return Err(VersionError::Failed {
            program: program.to_owned(),
            status: output.status,
        });
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .map(|line| line.trim().to_owned())
        .ok_or_else(|| VersionError::Silent(program.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_line_that_a_program_says() {
        assert!(version_of("sh-that-is-not-there").is_err());
        let ls = version_of("ls").expect("coreutils");
        assert!(ls.starts_with("ls"), "{ls}");
    }

    #[test]
    fn executables_are_found_by_name_and_by_path_and_nothing_else_is() {
        assert!(on_path("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(on_path("/bin/sh"), Some("/bin/sh".into()));
        for none in ["no-such-program", "/etc/passwd", "/bin", ""] {
            assert_eq!(on_path(none), None, "{none}");
        }
        let file = |name| file_in(name, OsStr::new("/nowhere:/etc"));
        assert_eq!(file("passwd"), Some("/etc/passwd".into()));
        assert_eq!(file(""), None);
        let nowhere = OsStr::new("");
        assert_eq!(find_in("no-such-program", nowhere), None);
    }

    #[test]
    fn daemons_are_searched_for_where_they_are_installed_too() {
        let path = search_path(&["/made/up".into()]);
        let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
        let (given, added) = dirs.split_at(dirs.len() - 4);
        assert_eq!(added[3], PathBuf::from("/made/up"));
        assert_eq!(added[1], PathBuf::from("/usr/sbin"));
        let path = env::var_os("PATH").unwrap_or_default();
        assert!(env::split_paths(&path).eq(given.iter().cloned()));
    }
}
