//! From module to executable.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use measure_core::{interrupt, spawn};
use nix::sys::wait::WaitStatus;

use crate::error::Wasm2cError;
use crate::interface;
use crate::relaxed::without_relaxed;
use crate::toolchain::{HOST, Toolchain};

/// Kept of what a failed tool says.
const LAST_WORDS_CHARS: usize = 400;
/// Work in progress lies beside what it makes: `.wasm2c-<process id>-<name>`.
const WORK_PREFIX: &str = ".wasm2c-";

impl Toolchain {
    /// Makes the executable `to` of the WASI program `wasm`, whole or not at all; each tool has `limit`.
    ///
    /// # Errors
    /// The module is not one that this engine runs, a tool fails, or a file cannot be written.
    pub fn compile(&self, wasm: &[u8], to: &Path, limit: Duration) -> Result<(), Wasm2cError> {
        interface::check(wasm)?;
        let lowered = without_relaxed(wasm)?;
        let has_imports = interface::has_imports(&lowered)?;
        let work = Work::beside(to)?;
        let file = |name: &str| work.0.join(name);
        let write = |name: &str, bytes: &[u8]| {
            fs::write(file(name), bytes).map_err(Wasm2cError::file(file(name)))
        };
        write("module.wasm", &lowered)?;
        write("host.c", HOST.as_bytes())?;
        let (module, c, program) = (file("module.wasm"), file("module.c"), file("program"));
        let name = Path::new("module");
        let arguments = [Path::new("-n"), name, &module, Path::new("-o"), &c];
        run("wasm2c", &self.wasm2c(), &arguments, &work.0, limit)?;
        let arguments = self.arguments(&work.0, has_imports, &program);
        let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
        run(
            "the C compiler",
            self.compiler(),
            &arguments,
            &work.0,
            limit,
        )?;
        fs::rename(&program, to).map_err(Wasm2cError::file(to))
    }
}

/// A directory of work in progress, removed with it.
struct Work(PathBuf);

impl Work {
    fn beside(to: &Path) -> Result<Self, Wasm2cError> {
        let parent = to.parent().unwrap_or(Path::new("."));
        let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        made.map_err(Wasm2cError::file(parent))?;
        remove_left_behind(parent);
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let dir = parent.join(format!("{WORK_PREFIX}{}-{name}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(Wasm2cError::file(&dir))?;
        Ok(Self(dir))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the work of processes that were killed at it.
fn remove_left_behind(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let pid = name
            .strip_prefix(WORK_PREFIX)
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs `program` to its end; what it writes is kept for the error message.
fn run(
    tool: &'static str,
    program: &Path,
    arguments: &[&Path],
    work: &Path,
    limit: Duration,
) -> Result<(), Wasm2cError> {
    let failed = |error: io::Error| Wasm2cError::Tool {
        tool,
        said: error.to_string(),
    };
    let path = std::env::var("PATH").unwrap_or_default();
    let temporary = work.to_string_lossy();
    // A killed compiler leaves its temporary files where they are removed.
    let environment = [
        ("PATH", path.as_str()),
        ("TMPDIR", &temporary),
        ("LC_ALL", "C"),
    ];
    let arguments = arguments.iter().map(|path| path.as_os_str());
    let program = spawn::Program::new(program, arguments, environment).map_err(failed)?;
    let log = work.join("log");
    let output = File::create(&log).map_err(Wasm2cError::file(&log))?;
    let null = OpenOptions::new()
        .read(true)
        .open("/dev/null")
        .map_err(failed)?;
    let mut child = program
        .spawn([null.as_fd(), output.as_fd(), output.as_fd()])
        .map_err(failed)?;
    let ended = child.ended(limit).map_err(failed)?;
    if !ended {
        child.kill();
    }
    let status = child.reap().map_err(failed)?;
    if interrupt::received().is_some() {
        return Err(Wasm2cError::Interrupted);
    }
    if !ended {
        return Err(Wasm2cError::Timeout { tool, limit });
    }
    if let WaitStatus::Exited(_, 0) = status {
        return Ok(());
    }
    let how = match status {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("ended by {signal}"),
        other => format!("{other:?}"),
    };
    let said = last_words(&log).unwrap_or_default();
    Err(Wasm2cError::Tool {
        tool,
        said: format!("{how} (it said: {})", said.escape_debug()),
    })
}

fn last_words(log: &Path) -> io::Result<String> {
    let text = match fs::read(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        read => read?,
    };
    let text = String::from_utf8_lossy(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(words.join(" ").chars().take(LAST_WORDS_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_work_of_the_dead_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        // No process has a number beyond the kernel's greatest.
        let dead = dir.path().join(format!("{WORK_PREFIX}4194305-poly_gemm"));
        let alive = dir
            .path()
            .join(format!("{WORK_PREFIX}{}-poly_gemm", std::process::id()));
        let other = dir.path().join("poly_gemm-0123");
        for path in [&dead, &alive, &other] {
            fs::create_dir(path).expect("a directory");
        }
        remove_left_behind(dir.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }

    #[test]
    fn a_tool_that_fails_is_quoted_and_one_that_hangs_is_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let sh = |script: &str, limit| {
            let arguments = [Path::new("-c"), Path::new(script)];
            run("sh", Path::new("/bin/sh"), &arguments, dir.path(), limit)
        };
        let patience = Duration::from_secs(120);
        sh("true", patience).expect("well");
        let error = sh("echo no luck >&2; exit 3", patience).expect_err("failed");
        assert_eq!(
            error.to_string(),
            "sh failed: exit code 3 (it said: no luck)"
        );
        let error = sh("kill -ABRT $$", patience).expect_err("failed");
        assert!(error.to_string().contains("SIGABRT"), "{error}");
        let error = sh("sleep 100", Duration::from_millis(100)).expect_err("ended");
        assert!(matches!(error, Wasm2cError::Timeout { .. }), "{error}");
    }
}
