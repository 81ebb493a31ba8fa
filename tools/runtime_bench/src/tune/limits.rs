//! Limits of the kernel, raised for as long as somebody wants to know how many fit; what was found is kept, and put back, as `tune` does it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::apply::{put_back, quieten};
use super::error::TuneError;
use super::knobs::{Host, Knob, LIMITS, Setting};
use super::state::{Found, StateFile};

/// Open files of a process, more than a driver's seats need.
const OPEN_FILES: u64 = 1_048_576;
/// How long another `tune` may hold the file of what was found.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Limits that were raised; put back by [`RaisedLimits::put_back`], or when this is dropped.
#[derive(Debug)]
pub(crate) struct RaisedLimits {
    host: Host,
    /// What was raised and what the kernel refused, in words.
    pub(crate) words: String,
    is_raised: bool,
}

impl RaisedLimits {
    /// Raises what can be raised of this host, and this process's own limit of open files.
    ///
    /// # Errors
    /// What is found cannot be kept; nothing was changed then.
    pub(crate) fn raise() -> Result<Self, TuneError> {
        raise_open_files();
        Self::raise_at(Host::at(PathBuf::from("/")))
    }

    fn raise_at(host: Host) -> Result<Self, TuneError> {
        let state = lock(&host)?;
        let mut found = Found::of_this_boot(&host, state.load()?);
        // What an earlier run found, which was killed before it could put it back, stays what was found.
        found.add(&lower_limits(&host));
        state.save(&found)?;
        let applied = quieten_each(&host, &found);
        Ok(Self {
            host,
            words: applied.join(", "),
            is_raised: true,
        })
    }

    /// Puts back what was found.
    ///
    /// # Errors
    /// Some of it cannot be; all of it is still kept, for `tune off`.
    pub(crate) fn put_back(mut self) -> Result<(), TuneError> {
        self.is_raised = false;
        put_back_at(&self.host)
    }
}

impl Drop for RaisedLimits {
    fn drop(&mut self) {
        if self.is_raised
            && let Err(error) = put_back_at(&self.host)
        {
            eprintln!("warning: {error}");
        }
    }
}

/// Puts back what a killed run had raised, if there was one.
///
/// # Errors
/// As of [`RaisedLimits::put_back`].
pub(crate) fn put_back_left() -> Result<(), TuneError> {
    let host = Host::at(PathBuf::from("/"));
    match super::state::load(&super::state::path(&host))? {
        Some(found) if !found.knobs_for(Setting::Limits).is_empty() => put_back_at(&host),
        _ => Ok(()),
    }
}

fn put_back_at(host: &Host) -> Result<(), TuneError> {
    let state = lock(host)?;
    let Some(found) = state.load()? else {
        return Ok(());
    };
    let of_this_boot = found.is_of_this_boot(host);
    let (limits, others) = found.parted(Setting::Limits);
    if of_this_boot {
        put_back(host, &limits, state.path())?;
    }
    if others.knobs.is_empty() || !of_this_boot {
        state.remove()
    } else {
        state.save(&others)
    }
}

/// The file of what was found, once no other `tune` has it.
fn lock(host: &Host) -> Result<StateFile, TuneError> {
    let until = Instant::now() + LOCK_LIMIT;
    loop {
        match StateFile::lock(host) {
            Err(TuneError::Busy(_)) if Instant::now() < until => {
                interrupt::sleep(LOCK_STEP);
            }
            outcome => return outcome,
        }
    }
}

/// The limits of `host` that are lower than they can be.
fn lower_limits(host: &Host) -> Vec<Knob> {
    let knob = |(file, most): (&str, u64)| {
        let found = host.value(file).ok()?;
        let is_lower = found.parse::<u64>().is_ok_and(|limit| limit < most);
        is_lower.then(|| Knob {
            setting: Setting::Limits,
            file: file.into(),
            found: format!("{found}\n"),
            quiet: format!("{most}\n"),
        })
    };
    LIMITS.into_iter().filter_map(knob).collect()
}

/// Raises each limit in `found`, and says what came of it.
fn quieten_each(host: &Host, found: &Found) -> Vec<String> {
    let each = found.knobs_for(Setting::Limits).into_iter();
    let words = |knob: &Knob| {
        let name = knob.file.strip_prefix("proc/sys").unwrap_or(&knob.file);
        let name = name.to_string_lossy().replace('/', ".");
        format!("{name} {}", quieten(host, &[knob]))
    };
    each.map(words).collect()
}

/// The drivers inherit it; it ends with this process.
fn raise_open_files() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let (wanted_soft, wanted_hard) = (soft.max(OPEN_FILES), hard.max(OPEN_FILES));
    if setrlimit(Resource::RLIMIT_NOFILE, wanted_soft, wanted_hard).is_err() {
        // Whoever may not raise the hard limit may raise the soft one up to it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted_soft.min(hard), hard);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn host(dir: &Path) -> Host {
        for (file, text) in [
            ("proc/sys/kernel/random/boot_id", "first\n"),
            ("proc/sys/kernel/pid_max", "32768\n"),
            ("proc/sys/kernel/threads-max", "8000000\n"),
            ("proc/sys/vm/max_map_count", "65530\n"),
        ] {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        Host::at(dir.to_owned())
    }

    fn limit(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join("proc/sys").join(name)).expect("there")
    }

    #[test]
    fn what_is_lower_is_raised_and_put_back_and_nothing_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let raised = RaisedLimits::raise_at(host(dir.path())).expect("raised");
        assert!(
            raised.words.contains("kernel.pid_max 32768 -> 4194304"),
            "{}",
            raised.words
        );
        assert_eq!(limit(dir.path(), "kernel/pid_max"), "4194304\n");
        assert_eq!(limit(dir.path(), "kernel/threads-max"), "8000000\n");
        assert_eq!(limit(dir.path(), "vm/max_map_count"), "16777216\n");
        raised.put_back().expect("put back");
        assert_eq!(limit(dir.path(), "kernel/pid_max"), "32768\n");
        assert_eq!(limit(dir.path(), "vm/max_map_count"), "65530\n");
        assert!(!dir.path().join("run/faasm-bench/tune.json").exists());
    }

    #[test]
    fn what_a_killed_run_raised_is_what_the_next_one_finds_lower() {
        let dir = tempfile::tempdir().expect("a directory");
        let killed = RaisedLimits::raise_at(host(dir.path())).expect("raised");
        std::mem::forget(killed);
        let next = RaisedLimits::raise_at(Host::at(dir.path().to_owned())).expect("raised");
        drop(next);
        assert_eq!(limit(dir.path(), "kernel/pid_max"), "32768\n");
        let killed = RaisedLimits::raise_at(host(dir.path())).expect("raised");
        std::mem::forget(killed);
        put_back_at(&Host::at(dir.path().to_owned())).expect("put back");
        assert_eq!(limit(dir.path(), "vm/max_map_count"), "65530\n");
    }

    #[test]
    fn what_tune_found_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let host = host(dir.path());
        let tuned = "sys/kernel/mm/transparent_hugepage/enabled";
        let state = StateFile::lock(&host).expect("free");
        let mut found = Found::of_this_boot(&host, None);
        found.add(&[Knob {
            setting: Setting::HugePages,
            file: tuned.into(),
            found: "always\n".into(),
            quiet: "madvise\n".into(),
        }]);
        state.save(&found).expect("saved");
        drop(state);
        RaisedLimits::raise_at(host)
            .expect("raised")
            .put_back()
            .expect("put back");
        let state = dir.path().join("run/faasm-bench/tune.json");
        let left = fs::read_to_string(state).expect("still there");
        assert!(left.contains(tuned) && !left.contains("pid_max"), "{left}");
    }
}
