//! A home of its own for each test, with a few kernels, natively and in the store.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use driver_testkit::functions::{Compiled, WASI_FLAGS};
use driver_testkit::{Ended, functions};
use tempfile::TempDir;

/// What is compiled: program, kernel, macro.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("poly_gemm-mini", "gemm", "MINI_DATASET"),
    ("poly_gemm-small", "gemm", "SMALL_DATASET"),
    ("poly_gramschmidt-mini", "gramschmidt", "MINI_DATASET"),
    ("poly_nussinov-mini", "nussinov", "MINI_DATASET"),
];
/// A native column and a Wasm column, of which a home has the programs.
pub const BOTH: &str = "--columns native,wasm";
/// Results go to `rows.csv` and `run` of the home.
pub const OUTPUTS: &str = "--output rows.csv --run-dir run";
const COMPILER: &str = "clang-19";
const MODULE: &str = "function.wasm";

pub struct Bench {
    pub home: TempDir,
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../polybench-src")
}

/// Compiles `source` for one side.
fn compile(source: &Path, macro_name: Option<&str>, wasm: bool, to: &Path) -> Compiled {
    let define = macro_name.map(|name| format!("-D{name}"));
    let mut flags = vec!["-O2"];
    flags.extend(define.as_deref());
    if wasm {
        flags.extend(WASI_FLAGS);
        flags.push("-Wl,--strip-debug");
    } else {
        flags.push("-lm");
    }
    functions::compile(COMPILER, &flags, source, to)
}

/// Whether the compiler makes programs for both sides.
fn can_compile() -> bool {
    let dir = TempDir::new().expect("a temporary directory");
    let source = dir.path().join("main.c");
    fs::write(
        &source,
        "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n",
    )
    .expect("written");
    [false, true].into_iter().all(|wasm| {
        let made = compile(&source, None, wasm, &dir.path().join("main"));
        made == Compiled::Made
    })
}

/// A home with the kernels on both sides, and machine code of those that most tests run: made once per run of the tests. None where
/// there is no compiler.
fn prepared() -> Option<&'static Path> {
    static PREPARED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let prepared = PREPARED.get_or_init(|| can_compile().then(prepare));
    prepared.as_deref()
}

fn prepare() -> PathBuf {
    let tests = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let home = TempDir::new_in(tests).expect("a temporary directory");
    let bench = Bench { home };
    std::thread::scope(|scope| {
        for (program, kernel, macro_name) in PROGRAMS {
            for wasm in [false, true] {
                let to = if wasm {
                    bench.make_module_dir("polybench", program).join(MODULE)
                } else {
                    bench.native_dir().join(program)
                };
                let source = sources().join(format!("{kernel}.c"));
                scope.spawn(move || {
                    let made = compile(&source, Some(macro_name), wasm, &to);
                    assert_eq!(made, Compiled::Made, "{program}");
                });
            }
        }
    });
    let ran = bench.measure("gemm 0 1 --dataset mini,small");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    fs::remove_dir_all(bench.path("run")).expect("removed");
    fs::remove_file(bench.path("rows.csv")).expect("removed");
    // The last run's goes.
    let kept = tests.join("poly_bench-home");
    let _ = fs::remove_dir_all(&kept);
    fs::rename(bench.home.keep(), &kept).expect("kept");
    kept
}

impl Bench {
    /// With nothing in it.
    pub fn empty() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        Self { home }
    }

    /// With the compiled kernels on both sides; none, which it says, where they cannot be compiled.
    pub fn new() -> Option<Self> {
        let Some(prepared) = prepared() else {
            eprintln!(
                "SKIPPED: poly_bench on kernels: no {COMPILER} for this host and wasm32-wasi: run `make setup`"
            );
            return None;
        };
        let bench = Self::empty();
        // As `functions::write_program`, all at once.
        let copied = Command::new("cp")
            .args(["-R", "polybench_native", "store"])
            .arg(bench.home.path())
            .current_dir(prepared)
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "copied");
        Some(bench)
    }

    pub fn native_dir(&self) -> PathBuf {
        self.home.path().join("polybench_native/bin")
    }

    pub fn put_native(&self, program: &str, bytes: &[u8]) {
        functions::write_program(bytes, &self.native_dir().join(program));
    }

    /// The native programs in place of each other build of them, the module in place of the one as linked.
    pub fn put_all_columns(&self, program: &str) {
        for build in ["o3", "no_fma", "gcc", "polly"] {
            let other = self.path(&format!("polybench_native_{build}"));
            symlink("polybench_native", other).expect("a link");
        }
        let wasm = self.path(&format!("store/polybench/{program}/{MODULE}"));
        self.put_linked(program, &fs::read(wasm).expect("a module"));
    }

    /// A native program from C source.
    pub fn compile_native(&self, program: &str, source: &str) {
        fs::create_dir_all(self.native_dir()).expect("a directory");
        let file = self.home.path().join(format!("{program}.c"));
        fs::write(&file, source).expect("written");
        let made = compile(&file, None, false, &self.native_dir().join(program));
        assert_eq!(made, Compiled::Made, "{program}");
    }

    /// As an upload leaves it; compiled when it is first run.
    pub fn put_wasm(&self, program: &str, bytes: &[u8]) {
        self.put_module("polybench", program, bytes);
    }

    /// The module as linked.
    pub fn put_linked(&self, program: &str, bytes: &[u8]) {
        self.put_module("polybench-linked", program, bytes);
    }

    fn put_module(&self, user: &str, program: &str, bytes: &[u8]) {
        let dir = self.make_module_dir(user, program);
        fs::write(dir.join(MODULE), bytes).expect("written");
    }

    fn make_module_dir(&self, user: &str, program: &str) -> PathBuf {
        let dir = self.home.path().join("store").join(user).join(program);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(&dir).expect("a directory");
        dir
    }

    pub fn put_wat(&self, program: &str, text: &str) {
        self.put_wasm(program, &wat::parse_str(text).expect("a module"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The executable with the words of `line` as arguments.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_poly_bench"));
        command
            .current_dir(self.home.path())
            .env("FAASM_BENCH_HOME", self.home.path())
            .env_remove("FAASM_BENCH_PROFILE")
            .args(line.split_whitespace())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Ended {
        driver_testkit::run(self.command(line))
    }

    /// `run` of two columns, with the results where they can be found.
    pub fn measure(&self, line: &str) -> Ended {
        self.run(&format!("{line} {BOTH} {OUTPUTS}"))
    }

    pub fn rows(&self) -> Vec<[String; 3]> {
        rows(&fs::read_to_string(self.path("rows.csv")).expect("rows.csv"))
    }

    pub fn samples(&self) -> Vec<measure_core::contract::sample::Sample> {
        let recorded = measure_core::contract::run_dir::read_samples(&self.path("run"));
        recorded.expect("samples").samples
    }
}

/// The rows of a CSV file, its header checked.
pub fn rows(text: &str) -> Vec<[String; 3]> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("benchmark,type,microseconds"), "{text}");
    lines
        .map(|line| {
            let cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            cells.try_into().expect("three cells")
        })
        .collect()
}
