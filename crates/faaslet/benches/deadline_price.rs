//! What a deadline that is sound costs compiled code: each of PolyBench's kernels, or CPython with each benchmark of `py_bench quick`,
//! compiled as the store compiles it, bulk operations in pieces and growth that asks, and compiled as it came; nothing else differs. A
//! round starts a process for each of them, which draws layouts of its own and starts both by turns.
//!
//! `cargo bench --workspace --locked --bench deadline_price -- [ROUNDS] [python | PREFIX OF KERNELS]`

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faaslet::function::Untimed;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, Store};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use stats::levels::{Levels, geometric_mean, ratio};
use stats::{Interval, median};
use wasmtime::Module;

const USER: &str = "polybench";
const DATASET: &str = "-medium";
/// What `py_bench quick` runs.
const PYTHON: [&str; 6] = [
    "float",
    "json_loads",
    "nbody",
    "pidigits",
    "regex_v8",
    "richards",
];
const ROUNDS: usize = 10;
/// Starts of each side in a process, after one that is not counted.
const STARTS: usize = 5;
const CHILD: &str = "--child";
const SIDES: [&str; 2] = ["with", "without"];

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is compiled, and what of it is run.
struct Case {
    function: FunctionId,
    name: String,
}

fn main() -> Outcome<()> {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    if let [first, code, name, turn] = &words[..]
        && first == CHILD
    {
        return child(Path::new(code), name, turn.parse()?);
    }
    let rounds = words.first().map_or(Ok(ROUNDS), |word| word.parse())?;
    let store = Store::at(home::store());
    let cases = match words.get(1).map_or("", String::as_str) {
        "python" => python(&store)?,
        prefix => kernels(&store, prefix)?,
    };
    if cases.is_empty() {
        eprintln!(
            "SKIPPED: deadline_price: nothing to compile in {} (make bench builds it)",
            store.root().display()
        );
        return Ok(());
    }
    compare(&store, &cases, rounds)
}

fn kernels(store: &Store, prefix: &str) -> Outcome<Vec<Case>> {
    let all = store.list()?.into_iter();
    let wanted = |id: &FunctionId| {
        let name = id.function();
        id.user() == USER && name.ends_with(DATASET) && name.contains(prefix)
    };
    let case = |function: FunctionId| Case {
        name: function.function().to_owned(),
        function,
    };
    Ok(all.filter(wanted).map(case).collect())
}

fn python(store: &Store) -> Outcome<Vec<Case>> {
    let function = FunctionId::new("python", "py_func")?;
    if !store.list()?.contains(&function) {
        return Ok(Vec::new());
    }
    let case = |name: &str| Case {
        name: format!("bench_{name}.py"),
        function: function.clone(),
    };
    Ok(PYTHON.map(case).into())
}

/// What the program called `name` is given: an interpreter its library, suite and script, a kernel nothing.
fn grants(name: &str, scratch: &Path) -> Outcome<Grants> {
    if !name.ends_with(".py") {
        return Ok(Grants {
            args: vec![name.to_owned()],
            ..Grants::default()
        });
    }
    let python = home::root().join("python").canonicalize()?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pybench-src");
    let scripts = scripts.canonicalize()?;
    let text = |path: PathBuf| path.display().to_string();
    let given = Grants {
        args: vec![
            "python".to_owned(),
            "-S".to_owned(),
            text(scripts.join(name)),
            "--time".to_owned(),
            "2".to_owned(),
        ],
        env: vec![
            ("PYTHONHOME".to_owned(), text(python.join("native"))),
            ("PYTHONPATH".to_owned(), text(python.join("suite"))),
            ("PYTHONHASHSEED".to_owned(), "0".to_owned()),
            ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()),
            ("TMPDIR".to_owned(), text(scratch.to_owned())),
        ],
        ..Grants::default()
    };
    let dirs = [python.join("native/lib"), python.join("suite"), scripts];
    let given = dirs.iter().fold(given, |given, dir| {
        given.with_dir(dir, dir.display().to_string(), false)
    });
    Ok(given.with_dir(scratch, scratch.display().to_string(), true))
}

fn engine() -> Outcome<FaasletEngine> {
    Ok(FaasletEngine::new(EngineSettings {
        instances: 1,
        memory_limit_bytes: 4 << 30,
        deadline: Duration::from_secs(600),
        ..EngineSettings::default()
    })?)
}

fn compare(store: &Store, cases: &[Case], rounds: usize) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let engine = engine()?;
    for case in cases {
        let [with, without] = SIDES.map(|side| code(scratch.path(), &case.function, side));
        if with.exists() {
            continue;
        }
        let wasm = store.wasm(&case.function)?;
        fs::write(with, engine.compile(&wasm)?.serialize()?)?;
        fs::write(without, Module::new(engine.wasmtime(), &wasm)?.serialize()?)?;
    }
    let mut ratios = vec![Vec::new(); cases.len()];
    for round in 0..rounds {
        for (case, ratios) in cases.iter().zip(&mut ratios) {
            ratios.push(process(scratch.path(), case, round)?);
        }
    }
    print(cases, &ratios);
    Ok(())
}

fn code(scratch: &Path, function: &FunctionId, side: &str) -> PathBuf {
    scratch.join(format!("{}.{side}", function.function()))
}

/// Time with over time without, each the median of a process's starts: what the host does to that process it does to both.
fn process(scratch: &Path, case: &Case, round: usize) -> Outcome<f64> {
    let name = &case.name;
    let output = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .arg(code(scratch, &case.function, ""))
        .args([name, &round.to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let ratio = text.trim().parse();
    ratio.map_err(|_| format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// `code` is the path of what was compiled, up to its side.
fn child(code: &Path, name: &str, turn: usize) -> Outcome<()> {
    let engine = engine()?;
    let scratch = tempfile::tempdir()?;
    let load = |side: &str| -> Outcome<Function> {
        let code = fs::read(format!("{}{side}", code.display()))?;
        // SAFETY: the process that started this one has just written what an engine of these settings made.
        let module = unsafe { Module::deserialize(engine.wasmtime(), code) }?;
        let out = fs::File::options().write(true).open("/dev/null")?;
        let grants = Grants {
            stdout: Some(Arc::new(out.into())),
            ..grants(name, scratch.path())?
        };
        Ok(Function::new(&engine, name, &module, grants)?)
    };
    let functions = [load(SIDES[0])?, load(SIDES[1])?];
    let mut seconds = [const { Vec::new() }; 2];
    for start in 0..=STARTS {
        for place in 0..2 {
            // Who is first changes from start to start, and from process to process.
            let side = (place + start + turn) % 2;
            let begun = Instant::now();
            functions[side].start(&mut Untimed)?;
            if start > 0 {
                seconds[side].push(begun.elapsed().as_secs_f64());
            }
        }
    }
    let [with, without] = seconds.map(|all| median(&all).unwrap_or_default());
    println!("{}", with / without);
    Ok(())
}

fn print(cases: &[Case], ratios: &[Vec<f64>]) {
    // A ratio of what is always 1: its interval is Student's of the logarithms.
    let levels = ratios.iter().filter_map(|ratios| {
        let ones = Levels::one_per_process(&vec![1.0; ratios.len()])?;
        Some([Levels::one_per_process(ratios)?, ones])
    });
    let levels: Vec<[Levels; 2]> = levels.collect();
    let words = |interval: &Result<Interval, _>| match interval {
        Ok(found) => format!("[{:.4}, {:.4}]", found.lo, found.hi),
        Err(_) => "unchecked".to_owned(),
    };
    println!("with what a sound deadline adds / without:");
    for (case, [with, without]) in cases.iter().zip(&levels) {
        if let Some(found) = ratio(with, without) {
            println!(
                "  {:<28} {:.4} {}",
                case.name,
                found.value,
                words(&found.interval)
            );
        }
    }
    let pairs: Vec<(&Levels, &Levels)> = levels
        .iter()
        .map(|[with, without]| (with, without))
        .collect();
    if let Some(means) = geometric_mean(&pairs) {
        println!(
            "  geometric mean of {}: {:.4} {}",
            means.n,
            means.mean,
            words(&means.these_again)
        );
    }
}
