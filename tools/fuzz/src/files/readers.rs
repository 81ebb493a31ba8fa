//! Every reader of what others wrote, and a file as its writer leaves it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use faaslet::{EngineSettings, FaasletEngine, Store};
use measure_core::base::ids::FunctionId;
use measure_core::base::label;
use measure_core::base::words::plain;
use measure_core::contract::protocol;
use measure_core::driver_kit::cgroup::MountedHierarchy;
use measure_core::driver_kit::native_command::NativeCommand;
use native_vs_wasm::comparison::{self, Comparison};
use process_driver::runtimes::Catalogue;
use report::{Records, RunSummary};

use crate::target::Finding;

/// What came of reading a damaged file.
pub enum Read {
    /// It was read all the same.
    Well,
    /// It was refused with these words.
    Refused(String),
}

impl Read {
    fn from_result<T, E: Display>(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Well,
            Err(error) => Self::Refused(as_printed(&error)),
        }
    }
}

/// An error's words as the tools print them.
fn as_printed(error: &impl Display) -> String {
    plain(&error.to_string())
}

/// A kind of file, and who reads it.
pub struct Reader {
    pub name: &'static str,
    /// The file that is damaged, by its name in the directory, and its content.
    pub file: &'static str,
    pub seed: &'static [u8],
    /// What lies beside it, undamaged.
    pub beside: &'static [(&'static str, &'static [u8])],
    /// Reads it, in that directory.
    pub read: fn(&Path, &[u8]) -> Result<Read, Finding>,
}

macro_rules! seed {
    ($path:literal) => {
        include_bytes!(concat!("../../seeds/", $path))
    };
}

const RUN: [(&str, &[u8]); 3] = [
    ("run.json", seed!("run/run.json")),
    ("samples.jsonl", seed!("run/samples.jsonl")),
    ("environment.json", seed!("run/environment.json")),
];
const COMPARISON: [(&str, &[u8]); 3] = [
    ("comparison.json", seed!("comparison/comparison.json")),
    ("samples.jsonl", seed!("comparison/samples.jsonl")),
    ("environment.json", seed!("comparison/environment.json")),
];

const fn of_run(name: &'static str, i: usize) -> Reader {
    Reader {
        name,
        file: RUN[i].0,
        seed: RUN[i].1,
        beside: &RUN,
        read: run,
    }
}

const fn of_comparison(name: &'static str, i: usize) -> Reader {
    Reader {
        name,
        file: COMPARISON[i].0,
        seed: COMPARISON[i].1,
        beside: &COMPARISON,
        read: comparison,
    }
}

const fn text(
    name: &'static str,
    seed: &'static [u8],
    read: fn(&Path, &[u8]) -> Result<Read, Finding>,
) -> Reader {
    Reader {
        name,
        file: "file",
        seed,
        beside: &[],
        read,
    }
}

/// All of them.
pub const READERS: [Reader; 18] = [
    of_run("run.json", 0),
    of_run("samples.jsonl", 1),
    of_run("environment.json", 2),
    of_comparison("comparison.json", 0),
    of_comparison("samples.jsonl of a comparison", 1),
    of_comparison("environment.json of a comparison", 2),
    text("runtimes.toml", seed!("text/runtimes.toml"), runtimes),
    text(
        "a driver's line",
        seed!("text/driver-lines.jsonl"),
        driver_lines,
    ),
    text("grants.json", seed!("text/grants.json"), grants),
    text("snapshots.json", seed!("text/snapshots.json"), snapshots),
    text("command", seed!("text/command"), command),
    text("mountinfo", seed!("text/mountinfo"), mountinfo),
    text("/proc", seed!("text/proc"), proc_files),
    text("a module", seed!("text/program.wasm"), module),
    text("compiled code", seed!("text/code.elf"), compiled),
    text("names", seed!("text/names"), names),
    text("a kernel's arrays", seed!("text/arrays"), arrays),
    text("a kernel's times", seed!("text/times"), times),
];

/// The function that files of a store are read for.
fn function() -> Result<FunctionId, Finding> {
    FunctionId::new("u", "f").map_err(|e| e.to_string())
}

fn run(dir: &Path, _: &[u8]) -> Result<Read, Finding> {
    let records = match Records::read(dir) {
        Ok(records) => records,
        Err(error) => return Ok(Read::Refused(error.to_string())),
    };
    let summary = RunSummary::from_records(&records);
    let _ = (
        report::render(&summary),
        report::terminal(&summary, Some(100)),
    );
    let environment = records.environment.as_ref();
    let _ = report::differences::differences(environment, environment);
    Ok(Read::Well)
}

fn comparison(dir: &Path, _: &[u8]) -> Result<Read, Finding> {
    let comparison = match Comparison::read(dir) {
        Ok(comparison) => comparison,
        Err(error) => return Ok(Read::Refused(error.to_string())),
    };
    let _ = (
        comparison::render(&comparison),
        comparison::terminal(&comparison, Some(100)),
    );
    Ok(Read::Well)
}

fn runtimes(dir: &Path, _: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(Catalogue::load(
        Some(&dir.join("file")),
        &["process"],
    )))
}

fn driver_lines(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    let text = String::from_utf8_lossy(bytes);
    let mut last = Read::Well;
    for line in text.lines() {
        if let Err(error) = protocol::parse_line(line) {
            last = Read::Refused(error.to_string());
        }
    }
    Ok(last)
}

/// A store in `dir` that holds the damaged file as `name`.
fn store(dir: &Path, name: &str, bytes: &[u8]) -> Result<Store, Finding> {
    let function = dir.join("store/u/f");
    let made = fs::create_dir_all(&function)
        .and_then(|()| fs::write(function.join("function.wasm"), seed!("text/program.wasm")))
        .and_then(|()| fs::write(function.join(name), bytes))
        .and_then(|()| {
            // Whatever the umask: what others may write to is not read.
            let closed =
                |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
            for path in [dir.join("store"), dir.join("store/u"), function.clone()] {
                closed(&path, 0o755)?;
            }
            closed(&function.join(name), 0o644)
        });
    made.map_err(|e| format!("no store: {e}"))?;
    Ok(Store::at(dir.join("store")))
}

fn grants(dir: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(
        store(dir, "grants.json", bytes)?.grants(&function()?),
    ))
}

fn snapshots(dir: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(
        store(dir, "snapshots.json", bytes)?.snapshot_options(&function()?),
    ))
}

fn command(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(NativeCommand::parse(
        &String::from_utf8_lossy(bytes),
    )))
}

fn mountinfo(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    let _ = MountedHierarchy::parse(&String::from_utf8_lossy(bytes));
    Ok(Read::Well)
}

fn proc_files(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    probes::read_as_everything(bytes);
    Ok(Read::Well)
}

fn engine() -> Result<&'static FaasletEngine, Finding> {
    static ENGINE: OnceLock<Result<FaasletEngine, Finding>> = OnceLock::new();
    let made = ENGINE.get_or_init(|| {
        let settings = EngineSettings {
            instances: 1,
            ..EngineSettings::default()
        };
        FaasletEngine::new(settings).map_err(|e| e.to_string())
    });
    made.as_ref().map_err(Clone::clone)
}

/// As an upload, and by all who rewrite or describe modules.
fn module(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    let valid = faaslet::store::validate(engine()?, "it", bytes);
    let _ = wasm_interface::Interface::read(bytes).map(|interface| {
        let _ = second_engine::calls(&interface);
    });
    let _ = second_engine::Parts::read(bytes);
    let _ = second_engine::without_relaxed(bytes);
    let _ = func_sym::table_of_bytes(bytes, seed!("text/code.elf"));
    match wasm_post_link::rewrite(bytes, wasm_post_link::Passes::default()) {
        Err(error) if valid.is_ok() => Err(format!("a valid module cannot be rewritten: {error}")),
        _ => Ok(Read::from_result(valid)),
    }
}

fn compiled(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(func_sym::table_of_bytes(
        seed!("text/program.wasm"),
        bytes,
    )))
}

/// Ids, labels and the like, a line each.
fn names(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    let text = String::from_utf8_lossy(bytes);
    let mut refused = BTreeSet::new();
    for line in text.lines() {
        let _ = (
            label::owner(line),
            label::is_orphan(line),
            faaslet::netns::persistent_index(line),
        );
        // The others are names of our network devices and labels.
        if line.contains('/')
            && let Err(error) = line.parse::<FunctionId>()
        {
            refused.insert(as_printed(&error));
        }
    }
    Ok(refused.pop_last().map_or(Read::Well, Read::Refused))
}

fn arrays(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(poly_bench::arrays::parse(bytes)))
}

fn times(_: &Path, bytes: &[u8]) -> Result<Read, Finding> {
    Ok(Read::from_result(native_vs_wasm::times::parse_each(
        bytes, 3,
    )))
}
