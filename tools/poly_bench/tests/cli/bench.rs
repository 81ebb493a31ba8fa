//! A home of its own for each test, with a few kernels, natively and in the store.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

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

pub struct Bench {
    pub home: TempDir,
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../polybench-src")
}

/// Compiles `source` for one side.
pub fn compile(source: &Path, macro_name: Option<&str>, wasm: bool, to: &Path) {
    let mut command = Command::new(COMPILER);
    command.args(["-O2", "-o"]).arg(to).arg(source);
    command.args(macro_name.map(|name| format!("-D{name}")));
    if wasm {
        command.args([
            "--target=wasm32-wasi",
            "--sysroot=/usr",
            "-Wl,--strip-debug",
        ]);
    } else {
        command.arg("-lm");
    }
    driver_testkit::run(command).expect(0);
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
    let mut commands = [Command::new(COMPILER), Command::new(COMPILER)];
    commands[1].args(["--target=wasm32-wasi", "--sysroot=/usr"]);
    commands.iter_mut().all(|command| {
        command.arg(&source).arg("-o").arg(dir.path().join("main"));
        command.output().is_ok_and(|output| output.status.success())
    })
}

/// Where the kernels are, compiled once per run of the tests; a process of its own each. None where there is no compiler.
fn compiled() -> Option<&'static Path> {
    static COMPILED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        if !can_compile() {
            return None;
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("poly_bench-kernels");
        fs::create_dir_all(&dir).expect("a directory");
        std::thread::scope(|scope| {
            for (program, kernel, macro_name) in PROGRAMS {
                for (wasm, ending) in [(false, ""), (true, ".wasm")] {
                    let to = dir.join(format!("{program}{ending}"));
                    let source = sources().join(format!("{kernel}.c"));
                    scope.spawn(move || compile(&source, Some(macro_name), wasm, &to));
                }
            }
        });
        Some(dir)
    });
    compiled.as_deref()
}

impl Bench {
    /// With nothing in it.
    pub fn empty() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        Self { home }
    }

    /// With the compiled kernels on both sides; none, which it says, where they cannot be compiled.
    pub fn new() -> Option<Self> {
        let Some(compiled) = compiled() else {
            eprintln!(
                "SKIPPED: poly_bench on kernels: no {COMPILER} for this host and wasm32-wasi: run `make setup`"
            );
            return None;
        };
        let bench = Self::empty();
        let native_dir = bench.native_dir();
        fs::create_dir_all(&native_dir).expect("a directory");
        // As `functions::write_program`, all at once.
        let copied = Command::new("cp")
            .args(PROGRAMS.map(|(program, ..)| compiled.join(program)))
            .arg(native_dir)
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "copied");
        for (program, ..) in PROGRAMS {
            let wasm = compiled.join(format!("{program}.wasm"));
            bench.put_wasm(program, &fs::read(wasm).expect("a module"));
        }
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
        let wasm = self.path(&format!("store/polybench/{program}/function.wasm"));
        self.put_linked(program, &fs::read(wasm).expect("a module"));
    }

    /// A native program from C source.
    pub fn compile_native(&self, program: &str, source: &str) {
        fs::create_dir_all(self.native_dir()).expect("a directory");
        let file = self.home.path().join(format!("{program}.c"));
        fs::write(&file, source).expect("written");
        compile(&file, None, false, &self.native_dir().join(program));
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
        let dir = self.home.path().join("store").join(user).join(program);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o755);
        builder.create(&dir).expect("a directory");
        fs::write(dir.join("function.wasm"), bytes).expect("written");
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
