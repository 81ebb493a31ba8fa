//! Whether a slow-down of ten per cent is called one. The function itself is made slower, by an argument in its store; real
//! drivers start it, `runtime_bench time` measures it and `runtime_bench compare` judges: nothing of the product knows.
//!
//! `cargo bench -p runtime_bench --bench slow_down -- [COMPARISONS] [OPTIONS OF time]`, on an idle host.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A rung whose function is native, and one whose function is Wasm: each can be slowed by a time of its own.
const NATIVE: &str = "process";
const WASM: &str = "faaslet";
const DESIGNS: [&str; 2] = ["isolated", "back to back"];
const SLOW_DOWN: f64 = 0.10;
/// So many of all are to be called slower.
const ASKED_FOR: f64 = 16.0 / 20.0;
const COMPARISONS: usize = 20;
/// Processes and starts that tell a tenth on a host whose processes spread by a third; without options of one's own.
const ENOUGH: [&str; 6] = ["--repetitions", "60", "--isolated", "2", "--workers", "1"];

/// Rung and design.
type Row = (String, String);

/// A home with one function, which takes so long on the native and on the Wasm side.
struct Home(TempDir);

impl Home {
    fn new(programs: &Path) -> Outcome<Self> {
        let home = Self(tempfile::tempdir()?);
        // Compiled code is not taken from where others can write.
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o755)
            .create(home.function())?;
        for (program, name) in [("spin", "native"), ("spin.wasm", "function.wasm")] {
            fs::copy(programs.join(program), home.function().join(name))?;
        }
        Ok(home)
    }

    fn function(&self) -> PathBuf {
        self.0.path().join("store/demo/spin")
    }

    fn take(&self, native_ns: u64, wasm_ns: u64) -> Outcome<()> {
        let command = format!("{{function}}/native\n{native_ns}\n");
        fs::write(self.function().join("command"), command)?;
        let grants = serde_json::json!({ "args": ["spin", wasm_ns.to_string()] });
        fs::write(self.function().join("grants.json"), grants.to_string())?;
        Ok(())
    }

    fn tool(&self) -> Command {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
        tool.env("FAASM_BENCH_HOME", self.0.path());
        tool
    }

    /// One run, into the directory `name`.
    fn run(&self, name: &str, options: &[String]) -> Outcome<PathBuf> {
        let dir = self.0.path().join(name);
        let mut tool = self.tool();
        let rungs = format!("{NATIVE},{WASM}");
        tool.args(["time", "--function", "demo/spin", "--rungs", &rungs])
            .args(options)
            .arg("--output")
            .arg(&dir);
        succeed(&mut tool)?;
        Ok(dir)
    }

    /// What `compare` says of two runs, by row.
    fn compare(&self, first: &Path, second: &Path) -> Outcome<BTreeMap<Row, Value>> {
        let json = self.0.path().join("compared.json");
        let mut tool = self.tool();
        tool.arg("compare").args([first, second]);
        succeed(tool.arg("--json").arg(&json))?;
        let compared: Value = serde_json::from_slice(&fs::read(&json)?)?;
        let rows = compared["rows"].as_array().ok_or("no rows")?;
        let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
        let keyed = rows.iter().filter_map(|row| {
            let key = (text(row, "runtime")?, text(row, "design")?);
            Some((key, row.clone()))
        });
        Ok(keyed.collect())
    }
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {said}", output.status).into())
}

/// Compiles the function natively and to Wasm, as the Makefile does those that are shipped.
fn compile() -> Outcome<TempDir> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/slow_down/spin.c");
    let programs = tempfile::tempdir()?;
    let native = programs.path().join("spin");
    succeed(
        Command::new("musl-gcc")
            .args(["-static", "-O3", "-o"])
            .args([&native, &source]),
    )?;
    let wasm = ["--target=wasm32-wasi", "--sysroot=/usr", "-O3", "-o"];
    let module = programs.path().join("spin.wasm");
    succeed(Command::new("clang-19").args(wasm).args([&module, &source]))?;
    Ok(programs)
}

/// What each row's starts take without a slow-down.
fn medians(home: &Home, run: &Path) -> Outcome<BTreeMap<Row, f64>> {
    let rows = home.compare(run, run)?;
    let median = |row: &Value| row["first"]["median_ns"].as_f64();
    let medians = rows
        .into_iter()
        .filter_map(|(key, row)| Some((key, median(&row)?)));
    Ok(medians.collect())
}

fn measure(comparisons: usize, options: &[String]) -> Outcome<bool> {
    let programs = compile()?;
    let home = Home::new(programs.path())?;
    home.take(0, 0)?;
    let plain = medians(&home, &home.run("plain", options)?)?;
    let added_ns = |rung: &str, design: &str| {
        let median = plain.get(&(rung.to_owned(), design.to_owned()));
        median.map(|ns| (ns * SLOW_DOWN).round() as u64)
    };
    let mut verdicts: BTreeMap<Row, Vec<(String, f64)>> = BTreeMap::new();
    for number in 1..=comparisons {
        home.take(0, 0)?;
        let first = home.run(&format!("first-{number}"), options)?;
        for design in DESIGNS {
            let (native_ns, wasm_ns) = added_ns(NATIVE, design)
                .zip(added_ns(WASM, design))
                .ok_or("a rung made no start")?;
            home.take(native_ns, wasm_ns)?;
            let second = home.run(&format!("second-{number}-{design}"), options)?;
            for (key, row) in home.compare(&first, &second)? {
                if key.1 == design {
                    let verdict = row["verdict"].as_str().unwrap_or_default().to_owned();
                    let ratio = row["ratio"].as_f64().unwrap_or(f64::NAN);
                    println!("{number}: {}, {design}: {ratio:.3}, {verdict}", key.0);
                    verdicts.entry(key).or_default().push((verdict, ratio));
                }
            }
            fs::remove_dir_all(&second)?;
        }
        fs::remove_dir_all(&first)?;
    }
    println!("\nrung, design: put in; called slower; median ratio");
    let (mut called_slower, mut compared) = (0, 0);
    for ((rung, design), found) in &verdicts {
        let slower = found
            .iter()
            .filter(|(verdict, _)| verdict == "slower")
            .count();
        let ratios: Vec<f64> = found.iter().map(|(_, ratio)| *ratio).collect();
        println!(
            "{rung}, {design}: {} ns; {slower} of {}; {:.3}",
            added_ns(rung, design).unwrap_or_default(),
            found.len(),
            stats::median(&ratios).unwrap_or(f64::NAN),
        );
        called_slower += slower;
        compared += found.len();
    }
    println!("all: {called_slower} of {compared}");
    Ok(called_slower as f64 >= ASKED_FOR * compared as f64)
}

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let mut options: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let comparisons = options.first().and_then(|first| first.parse().ok());
    if comparisons.is_some() {
        options.remove(0);
    }
    if options.is_empty() {
        options.extend(ENOUGH.map(str::to_owned));
    }
    match measure(comparisons.unwrap_or(COMPARISONS), &options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a slow-down of 10 % is not called slower in 16 of 20 comparisons");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("slow_down: {error}");
            ExitCode::FAILURE
        }
    }
}
