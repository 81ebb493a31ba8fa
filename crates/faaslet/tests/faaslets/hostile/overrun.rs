//! How long after its deadline each module of the suite ends.

use std::env;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faaslet::function::Untimed;
use faaslet::settings::GUARD_BYTES;
use faaslet::stdin::Stdin;
use faaslet::{EngineSettings, FaasletEngine, Function, Grants, StartError};

use super::modules::endless;
use crate::common::{COMPILER_LIMIT, IS_THOROUGH, engine_with, function, toolchain};

const DEADLINE: Duration = Duration::from_millis(50);
const STARTS_VARIABLE: &str = "FAASLET_HOSTILE_STARTS";

pub fn engine() -> FaasletEngine {
    engine_with(EngineSettings {
        instances: 4,
        deadline: DEADLINE,
        ..EngineSettings::default()
    })
}

pub fn grants() -> Grants {
    let zeros = File::open("/dev/zero").expect("a device");
    let out = File::options().write(true).open("/dev/null");
    Grants {
        stdin: Some(Stdin::new(zeros.into())),
        stdout: Some(Arc::new(out.expect("a device").into())),
        ..Grants::default()
    }
}

#[test]
fn whatever_a_program_does_it_ends_soon_after_its_deadline() {
    let engine = engine();
    let suite = endless().into_iter().map(|module| {
        let loaded = function(&engine, module.text(), grants());
        (module.what, loaded)
    });
    ends(&suite.collect::<Vec<_>>());
}

#[test]
fn whatever_a_library_does_it_ends_soon_after_its_deadline() {
    let Some(tools) = toolchain() else { return };
    let engine = engine();
    let dir = tempfile::tempdir().expect("a directory");
    let mut suite = Vec::new();
    for (i, module) in endless().into_iter().enumerate() {
        let wasm = wat::parse_str(module.text()).expect("a module");
        let path = dir.path().join(i.to_string());
        // Not every module is one that it compiles.
        if let Err(why) = tools.compile(&wasm, &path, GUARD_BYTES, COMPILER_LIMIT) {
            println!("{}: not compiled: {why}", module.what);
            continue;
        }
        let loaded = Function::from_library(&engine, "it", &wasm, &path, grants());
        suite.push((module.what, loaded.expect("loaded")));
    }
    assert!(suite.len() > 20, "most are compiled");
    ends(&suite);
}

/// Starts each of `suite` in turn, as often as was asked for.
pub fn ends(suite: &[(&'static str, Function)]) {
    let starts = env::var(STARTS_VARIABLE).ok();
    let rounds = if IS_THOROUGH { 3 } else { 1 };
    let starts = starts.map_or(suite.len() * rounds, |n| {
        n.parse().expect("a number of starts")
    });
    let mut overruns: Vec<(Duration, &str)> = Vec::with_capacity(starts);
    let stolen = stolen();
    for (what, function) in suite.iter().cycle().take(starts) {
        let begun = Instant::now();
        let result = function.start(&mut Untimed);
        let late = begun.elapsed().saturating_sub(DEADLINE);
        assert!(
            matches!(result, Err(StartError::Deadline(_))),
            "{what}: {result:?}"
        );
        overruns.push((late, *what));
    }
    overruns.sort_unstable();
    let at = |percent: usize| overruns[(overruns.len() - 1) * percent / 100].0;
    println!(
        "{starts} starts, deadline {DEADLINE:?}: late p50 {:?}, p90 {:?}, p99 {:?}",
        at(50),
        at(90),
        at(99)
    );
    for (late, what) in overruns.iter().rev().take(8) {
        println!("  {late:?}: {what}");
    }
    println!(
        "  {:?} stolen meanwhile, of all processors",
        self::stolen().saturating_sub(stolen)
    );
}

/// Time that a hypervisor took from all processors since they were started; zero where it is not told.
fn stolen() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat
        .split_whitespace()
        .nth(8)
        .and_then(|n| n.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.unwrap_or(0))
}
