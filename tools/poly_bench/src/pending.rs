//! What is still to be built, and how long that takes: seen from outside, by the files that are written.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use measure_core::base::progress::Progress;
use native_vs_wasm::{Lack, WASM};

use crate::columns::{BUILDS, LINKED_USER, USER, WASM_LINKED, native_dir};

/// Of one program on one processor, as a start; the pace corrects it. Compiling it natively or to a module:
const COMPILING: Duration = Duration::from_millis(400);
/// Machine code of a module, and putting both into the store:
const STORING: Duration = Duration::from_millis(200);

/// A file that is to be written.
struct Unit {
    path: PathBuf,
    before: Option<SystemTime>,
    takes: Duration,
    is_done: bool,
}

impl Unit {
    fn new(path: PathBuf, takes: Duration) -> Self {
        Self {
            before: modified(&path),
            path,
            takes,
            is_done: false,
        }
    }

    fn is_written(&self) -> bool {
        let now = modified(&self.path);
        now.is_some() && now != self.before
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// All that is to be written, and the line that says how much of it is.
pub(crate) struct Pending {
    units: Vec<Unit>,
    progress: Progress,
}

impl Pending {
    /// What `lacking` is made of, below `home`.
    pub(crate) fn of_programs(lacking: &[&Lack<'_>], home: &Path) -> Self {
        let files = lacking.iter().flat_map(|lack| files(lack, home));
        Self::of_units(files.collect())
    }

    /// What the module `program` is made of.
    pub(crate) fn of_module(program: &str, home: &Path) -> Self {
        Self::of_units(module_files(USER, program, home))
    }

    fn of_units(files: Vec<(PathBuf, Duration)>) -> Self {
        let processors = thread::available_parallelism().map_or(1, |n| n.get());
        let processors = u32::try_from(processors).unwrap_or(u32::MAX);
        let mut progress = Progress::begin("building");
        let units: Vec<Unit> = files
            .into_iter()
            .map(|(path, takes)| Unit::new(path, takes / processors))
            .collect();
        progress.expect(units.iter().map(|unit| unit.takes).sum());
        Self { units, progress }
    }

    /// Looks which files have been written, and shows it.
    pub(crate) fn show(&mut self) {
        for unit in &mut self.units {
            if !unit.is_done && unit.is_written() {
                unit.is_done = true;
                self.progress.done(unit.takes);
            }
        }
        let done = self.units.iter().filter(|unit| unit.is_done).count();
        let all = self.units.len();
        self.progress.show(&format!("{done} of {all} files"));
    }
}

/// The files that stand for `lack`, with what each takes.
fn files(lack: &Lack<'_>, home: &Path) -> Vec<(PathBuf, Duration)> {
    let program = &lack.benchmark.name;
    match lack.column {
        WASM => module_files(USER, program, home),
        WASM_LINKED => module_files(LINKED_USER, program, home),
        build if BUILDS.contains(&build) => {
            vec![(native_dir(home, build).join(program), COMPILING)]
        }
        _ => Vec::new(),
    }
}

fn module_files(user: &str, program: &str, home: &Path) -> Vec<(PathBuf, Duration)> {
    let compiled = home.join("wasm").join(user).join(format!("{program}.wasm"));
    let stored = home.join("store").join(user).join(program);
    let stored = (stored.join("function.wasm"), STORING);
    // One that is there already is, as a rule, not made anew.
    if compiled.exists() {
        return vec![stored];
    }
    vec![(compiled, COMPILING), stored]
}

#[cfg(test)]
mod tests {
    use native_vs_wasm::{Benchmark, NotReady};

    use super::*;

    #[test]
    fn files_are_done_when_they_are_written() {
        let home = tempfile::tempdir().expect("a directory");
        let benchmark = Benchmark {
            name: "poly_gemm".to_owned(),
            group: "LARGE".to_owned(),
        };
        let lack = |column| Lack {
            benchmark: &benchmark,
            column,
            why: NotReady {
                why: "is missing".to_owned(),
                mend: "make".to_owned(),
            },
        };
        let lacking = [lack("native-o3"), lack(WASM), lack(WASM_LINKED)];
        let write = |file: &str| {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "").expect("written");
        };
        write("wasm/polybench-linked/poly_gemm.wasm");
        let mut pending = Pending::of_programs(&lacking.each_ref(), home.path());
        let done = |pending: &mut Pending| {
            pending.show();
            pending.units.iter().filter(|unit| unit.is_done).count()
        };
        assert_eq!((done(&mut pending), pending.units.len()), (0, 4));
        write("polybench_native_o3/bin/poly_gemm");
        assert_eq!(done(&mut pending), 1);
        write("wasm/polybench/poly_gemm.wasm");
        write("store/polybench/poly_gemm/function.wasm");
        assert_eq!(done(&mut pending), 3);
        write("store/polybench-linked/poly_gemm/function.wasm");
        assert_eq!(done(&mut pending), 4);
    }
}
