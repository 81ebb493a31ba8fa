//! From module to shared library.

use std::fs::{self, DirBuilder, Permissions};
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use confine::{CompileLimits, ConfineError, Files, Job, Limits, Scale};
use measure_core::base::interrupt;
use measure_core::base::label::Owner;
use wasm_interface::Interface;

use crate::error::SecondEngineError;
use crate::glue::glue;
use crate::interface::check;
use crate::parts::Parts;
use crate::relaxed::without_relaxed;
use crate::toolchain::{Toolchain, sources};
use crate::trampolines::with_trampolines;

/// By a module's size, for each tool: a C compiler takes a minute for some MiB of C, and a GiB.
const SCALE: Scale = Scale {
    cpu_base: Duration::from_secs(120),
    cpu_per_mib: Duration::from_secs(120),
    memory_base_bytes: 1 << 30,
    memory_per_byte: 256,
    open_files: 256,
};
/// Work in progress lies beside what it makes: `.wasm2c-<process id>-<name>`.
const WORK_PREFIX: &str = ".wasm2c-";

/// Wasm of which one C file is made: a compiler takes more than a minute for as much.
const FILE_BYTES: usize = 1 << 20;
/// Compilers' work is shared out evenly only where there are more files than processors, and few enough to share headers.
const FILES_MAX: usize = 16;

impl Toolchain {
    /// Makes the shared library `to` of the WASI program `wasm`, whole or not at all; each tool has `limit`. Its loader
    /// keeps `guard_bytes` inaccessible behind the memory.
    ///
    /// # Errors
    /// The module is not one that this engine runs, a tool fails, or a file cannot be written.
    pub fn compile(
        &self,
        wasm: &[u8],
        to: &Path,
        guard_bytes: u64,
        limit: Duration,
    ) -> Result<(), SecondEngineError> {
        let interface = Interface::read(wasm)?;
        let changes_tables = check(&interface, wasm, guard_bytes)?;
        wasmparser::validate(wasm)?;
        let work = Work::beside(to)?;
        let seen = self.directories();
        let room = Room {
            work: &work.0,
            seen: &seen,
            compile_limits: self.limits()?,
            module_bytes: wasm.len() as u64,
            limit,
        };
        let translated = self.translate(wasm, changes_tables, &room)?;
        let objects = side_by_side(&translated.sources, |source| {
            let object = source.with_extension("o");
            let arguments = self.arguments(
                &work.0,
                translated.has_imports,
                translated.has_relaxed,
                source,
                &object,
            );
            self.run_compiler(&arguments, &room)?;
            Ok(object)
        })?;
        let library = work.0.join("library.so");
        self.run_compiler(&self.link_arguments(&objects, &library), &room)?;
        // Whatever the umask: a library that others can write to is not loaded.
        fs::set_permissions(&library, Permissions::from_mode(0o755))
            .and_then(|()| fs::rename(&library, to))
            .map_err(SecondEngineError::file(to))
    }

    /// Makes C of `wasm`, in the directory of `room`, and what a library needs besides.
    fn translate(
        &self,
        wasm: &[u8],
        changes_tables: bool,
        room: &Room<'_>,
    ) -> Result<Translated, SecondEngineError> {
        let parts = Parts::read(wasm)?;
        let lowered = with_trampolines(without_relaxed(&parts.code)?)?;
        let file = |name: &str| room.work.join(name);
        let write = |name: &str, bytes: &[u8]| {
            fs::write(file(name), bytes).map_err(SecondEngineError::file(file(name)))
        };
        write("module.wasm", &lowered)?;
        for (name, text) in sources() {
            write(name, text.as_bytes())?;
        }
        write("glue.c", glue(&parts, changes_tables).as_bytes())?;
        let files = wasm.len().div_ceil(FILE_BYTES).clamp(1, FILES_MAX);
        let outputs = PathBuf::from(format!("--num-outputs={files}"));
        let (module, c) = (file("module.wasm"), file("module.c"));
        let [name, named, to] = ["-n", "module", "-o"].map(Path::new);
        let arguments = [name, named, &module, to, &c, &outputs];
        run("wasm2c", &self.wasm2c(), &arguments, room)?;
        let mut sources: Vec<PathBuf> = match files {
            1 => vec![c],
            n => (0..n).map(|i| file(&format!("module_{i}.c"))).collect(),
        };
        sources.extend(["glue.c", "library.c", "bytes.c"].map(file));
        let import_count = Interface::read(&lowered)?.imports.len();
        Ok(Translated {
            sources,
            has_imports: import_count > 0,
            // Those that were added are the multiply-adds. That the bytes differ would say nothing: every module is written anew.
            has_relaxed: import_count > parts.calls.len(),
        })
    }

    fn run_compiler(
        &self,
        arguments: &[PathBuf],
        room: &Room<'_>,
    ) -> Result<(), SecondEngineError> {
        let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
        run("the C compiler", self.compiler(), &arguments, room)
    }
}

/// A module as C.
struct Translated {
    sources: Vec<PathBuf>,
    has_imports: bool,
    has_relaxed: bool,
}

/// `work` on each item, as many at once as there are processors; the results in the order of the items.
fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R, SecondEngineError> + Sync,
) -> Result<Vec<R>, SecondEngineError> {
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<R, SecondEngineError>>>> =
        Mutex::new(items.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                while let i = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(item) = items.get(i)
                {
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    results.lock().unwrap_or_else(PoisonError::into_inner)[i] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    // What was not begun comes after what failed.
    results.into_iter().flatten().collect()
}

/// A directory of work in progress, removed with it.
struct Work(PathBuf);

impl Work {
    fn beside(to: &Path) -> Result<Self, SecondEngineError> {
        let parent = to.parent().unwrap_or(Path::new("."));
        let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        made.map_err(SecondEngineError::file(parent))?;
        remove_left_behind(parent);
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let dir = parent.join(format!("{WORK_PREFIX}{}-{name}", Owner::this_process()));
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(SecondEngineError::file(&dir))?;
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
        let maker = name
            .strip_prefix(WORK_PREFIX)
            .and_then(|rest| rest.split('-').next())
            .and_then(|maker| maker.parse::<Owner>().ok());
        if maker.is_some_and(Owner::is_gone) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Runs `program` to its end, with no network, no files but the system's, those that are `seen` and `work`, and the limits of a module of so many
/// bytes; what it says is kept for the error message.
fn run(
    tool: &'static str,
    program: &Path,
    arguments: &[&Path],
    room: &Room<'_>,
) -> Result<(), SecondEngineError> {
    let scaled = room.compile_limits.of_module(room.module_bytes, &SCALE);
    let limits = Limits {
        wall_time: scaled.wall_time.min(room.limit),
        ..scaled
    };
    let job = Job {
        program,
        arguments: arguments
            .iter()
            .map(|path| path.as_os_str().to_owned())
            .collect(),
        // A killed compiler leaves its temporary files where they are removed.
        environment: vec![
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("TMPDIR", room.work.into()),
            ("LC_ALL", "C".into()),
        ],
        input: &[],
        limits: &limits,
        files: Some(Files {
            readable: room.seen.to_vec(),
            writable: vec![room.work.to_owned()],
        }),
    };
    match confine::run(&job, &|| interrupt::received().is_some()) {
        Ok(_) => Ok(()),
        Err(ConfineError::GivenUp) => Err(SecondEngineError::Interrupted),
        Err(ConfineError::WallTime(limit)) => Err(SecondEngineError::Timeout { tool, limit }),
        Err(ConfineError::Failed { code, how, said }) => {
            let said = first_error(&said).to_owned();
            let source = ConfineError::Failed { code, how, said };
            Err(SecondEngineError::Tool { tool, source })
        }
        Err(source) => Err(SecondEngineError::Tool { tool, source }),
    }
}

/// The first error that a C compiler tells in the line `said`, without the directory and the source; else all of it.
fn first_error(said: &str) -> &str {
    let Some(at) = said.find(": error: ") else {
        return said;
    };
    let told = &said[said[..at].rfind('/').map_or(0, |slash| slash + 1)..];
    // What follows is the line of the source, after its number and a bar.
    let end = told.find(" | ").and_then(|bar| told[..bar].rfind(' '));
    &told[..end.unwrap_or(told.len())]
}

/// What the tools work in.
struct Room<'a> {
    work: &'a Path,
    /// What else they read.
    seen: &'a [PathBuf],
    compile_limits: CompileLimits,
    module_bytes: u64,
    /// By the clock, for each.
    limit: Duration,
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
            .join(format!("{WORK_PREFIX}{}-poly_gemm", Owner::this_process()));
        let other = dir.path().join("poly_gemm-0123");
        for path in [&dead, &alive, &other] {
            fs::create_dir(path).expect("a directory");
        }
        remove_left_behind(dir.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }

    #[test]
    fn of_a_compiler_the_first_error_is_quoted() {
        let said = "/w/.wasm2c-7-it/module.c:12:7: error: expected ';' at end of declaration 12 | f32 u32 var_i0; | ^ | ; /w/x.c:13:1: error: no";
        let first = "module.c:12:7: error: expected ';' at end of declaration";
        assert_eq!(first_error(said), first);
        assert_eq!(first_error(first), first);
        assert_eq!(first_error("no luck"), "no luck");
    }

    #[test]
    fn a_tool_that_fails_is_quoted_and_one_that_hangs_is_ended() {
        let dir = tempfile::tempdir().expect("a directory");
        let sh = |script: &str, limit| {
            let arguments = [Path::new("-c"), Path::new(script)];
            let room = Room {
                work: dir.path(),
                seen: &[],
                compile_limits: CompileLimits::default(),
                module_bytes: 1,
                limit,
            };
            run("sh", Path::new("/bin/sh"), &arguments, &room)
        };
        let patience = Duration::from_secs(120);
        sh("true", patience).expect("well");
        let error = sh("echo no luck >&2; exit 3", patience).expect_err("failed");
        assert_eq!(
            error.to_string(),
            "sh failed: exit code 3 (it said: no luck)"
        );
        let error = sh("exec perl -e 'use POSIX; abort'", patience).expect_err("failed");
        assert!(error.to_string().contains("SIGABRT"), "{error}");
        let error = sh("sleep 100", Duration::from_millis(100)).expect_err("ended");
        assert!(
            matches!(error, SecondEngineError::Timeout { .. }),
            "{error}"
        );
    }
}
