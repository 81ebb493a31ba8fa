//! This program, how it was called, and from which source.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use measure_core::base::files::sha256_of;

use super::collector::Collector;
use super::{Fact, FactError, Facts};

pub(super) fn facts() -> Facts {
    let mut facts = Collector(Facts::new());
    let words: Vec<String> = env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    facts.add("command_line", Ok::<_, String>(words));
    facts.add(
        "host",
        nix::unistd::gethostname().map(|h| h.to_string_lossy().into_owned()),
    );
    facts.add("user_id", u64::from(nix::unistd::geteuid().as_raw()));
    facts.add("measure_core_version", env!("CARGO_PKG_VERSION"));
    let executable = env::current_exe();
    let unknown = |why: &dyn ToString| Fact::Unknown(why.to_string());
    let hash = match &executable {
        Ok(path) => sha256_of(path).into(),
        Err(why) => unknown(why),
    };
    facts.add("executable_sha256", hash);
    let revision = executable
        .map_err(FactError::from)
        .and_then(|path| revision(&path));
    let (revision, modified) = match revision {
        Ok((revision, modified)) => (revision.into(), modified.into()),
        Err(why) => (unknown(&why), unknown(&why)),
    };
    facts.add("git_revision", revision);
    facts.add("git_modified", modified);
    facts.0
}

/// The commit of the checkout that holds the executable, and whether files differ from it. It is
/// the checkout's state now; build before you run.
fn revision(executable: &Path) -> Result<(String, bool), FactError> {
    let top = executable
        .ancestors()
        .find(|dir| dir.join(".git").exists())
        .ok_or(FactError::NotHere(
            "the executable does not lie in a git checkout",
        ))?;
    let revision = git(top, &["rev-parse", "HEAD"])?;
    let changes = git(top, &["status", "--porcelain", "--untracked-files=no"])?;
    Ok((revision, !changes.is_empty()))
}

fn git(top: &Path, arguments: &[&str]) -> Result<String, FactError> {
    let output = Command::new("git")
        .arg("-C")
        .arg(top)
        .args(arguments)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(FactError::RunGit)?;
    if !output.status.success() {
        return Err(FactError::Git {
            command: arguments[0].to_owned(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
