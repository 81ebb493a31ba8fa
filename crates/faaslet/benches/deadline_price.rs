//! What a deadline that is sound costs compiled code: each of PolyBench's kernels compiled as the store compiles it, bulk operations
//! in pieces and growth that asks, and compiled as it came; nothing else differs. A round starts a process for each kernel, which draws
//! layouts of its own and starts both by turns.
//!
//! `cargo bench --workspace --locked --bench deadline_price -- [ROUNDS] [PREFIX OF KERNELS]`

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
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
const ROUNDS: usize = 10;
/// Starts of each side in a process, after one that is not counted.
const STARTS: usize = 5;
const CHILD: &str = "--child";
const SIDES: [&str; 2] = ["with", "without"];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    // Cargo adds a word of its own.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    if let [first, directory, name, turn] = &words[..]
        && first == CHILD
    {
        return child(Path::new(directory), name, turn.parse()?);
    }
    let rounds = words.first().map_or(Ok(ROUNDS), |word| word.parse())?;
    let prefix = words.get(1).map_or("", String::as_str);
    let store = Store::at(home::store());
    let all = store.list()?.into_iter();
    let wanted = |id: &FunctionId| {
        let name = id.function();
        id.user() == USER && name.ends_with(DATASET) && name.contains(prefix)
    };
    let kernels: Vec<FunctionId> = all.filter(wanted).collect();
    if kernels.is_empty() {
        eprintln!(
            "SKIPPED: deadline_price: no kernels in {} (make compile FUNC_USER=polybench)",
            store.root().display()
        );
        return Ok(());
    }
    compare(&store, &kernels, rounds)
}

fn engine() -> Outcome<FaasletEngine> {
    Ok(FaasletEngine::new(EngineSettings {
        instances: 1,
        memory_limit_bytes: 4 << 30,
        deadline: Duration::from_secs(600),
        ..EngineSettings::default()
    })?)
}

fn compare(store: &Store, kernels: &[FunctionId], rounds: usize) -> Outcome<()> {
    let scratch = tempfile::tempdir()?;
    let engine = engine()?;
    for id in kernels {
        let wasm = store.wasm(id)?;
        let modules = [
            engine.compile(&wasm)?,
            Module::new(engine.wasmtime(), &wasm)?,
        ];
        for (module, side) in modules.iter().zip(SIDES) {
            let file = scratch.path().join(format!("{}.{side}", id.function()));
            fs::write(file, module.serialize()?)?;
        }
    }
    let mut ratios = vec![Vec::new(); kernels.len()];
    for round in 0..rounds {
        for (id, ratios) in kernels.iter().zip(&mut ratios) {
            ratios.push(process(scratch.path(), id.function(), round)?);
        }
    }
    print(kernels, &ratios);
    Ok(())
}

/// Time with over time without, each the median of a process's starts: what the host does to that process it does to both.
fn process(scratch: &Path, name: &str, round: usize) -> Outcome<f64> {
    let output = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .arg(scratch)
        .args([name, &round.to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let ratio = text.trim().parse();
    ratio.map_err(|_| format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn child(scratch: &Path, name: &str, turn: usize) -> Outcome<()> {
    let engine = engine()?;
    let load = |side: &str| -> Outcome<Function> {
        let code = fs::read(scratch.join(format!("{name}.{side}")))?;
        // SAFETY: the process that started this one has just written what an engine of these settings made.
        let module = unsafe { Module::deserialize(engine.wasmtime(), code) }?;
        let grants = Grants {
            args: vec![name.to_owned()],
            ..Grants::default()
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

fn print(kernels: &[FunctionId], ratios: &[Vec<f64>]) {
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
    for (id, [with, without]) in kernels.iter().zip(&levels) {
        if let Some(found) = ratio(with, without) {
            println!(
                "  {:<28} {:.4} {}",
                id.function(),
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
