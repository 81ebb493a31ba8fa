//! The first Ctrl-C ends a start, whatever it does and however far its deadline is. A signal is its process's for good: so each start
//! has one of its own, this test's executable once more.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use faaslet::function::Untimed;
use faaslet::settings::GUARD_BYTES;
use faaslet::{EngineSettings, Function, StartError};
use measure_core::base::interrupt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::modules::{Hostile, endless};
use super::overrun::grants;
use crate::common::{COMPILER_LIMIT, engine_with, function, toolchain};

/// What a process of this test is to start: a module of the suite, by number.
const MODULE: &str = "FAASLET_TEST_MODULE";
/// The library that the second engine made of it, if that is to run it.
const LIBRARY: &str = "FAASLET_TEST_LIBRARY";
const BEGUN: &str = "begun";
const INTERRUPTED: &str = "interrupted as it should be";
/// A start is well within its program by then.
const RUNS: Duration = Duration::from_millis(60);
/// Beyond this a start hangs, on however busy a host.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of each kind: its own code, tail calls, pieces of bulk operations, tables, each call that waits or makes much.
const TRIED: [&str; 10] = [
    "computes nothing",
    "moves frames by tail calls",
    "fills much",
    "copies its table",
    "is random",
    "sleeps",
    "sleeps shortly",
    "writes the same many times",
    "reads without end",
    "never gets started",
];

#[test]
fn the_first_signal_ends_what_a_program_does() {
    if let Ok(which) = env::var(MODULE) {
        return start_until_interrupted(which.parse().expect("a number"));
    }
    for (number, module) in tried() {
        ends_at_a_signal(&module, run_again(number));
    }
}

#[test]
fn the_first_signal_ends_what_a_library_does() {
    let Some(tools) = toolchain() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    for (number, module) in tried() {
        let wasm = wat::parse_str(module.text()).expect("a module");
        let path = dir.path().join(number.to_string());
        if let Err(why) = tools.compile(&wasm, &path, GUARD_BYTES, COMPILER_LIMIT) {
            println!("{}: not compiled: {why}", module.what);
            continue;
        }
        let mut command = run_again(number);
        command.env(LIBRARY, path);
        ends_at_a_signal(&module, command);
    }
}

fn tried() -> Vec<(usize, Hostile)> {
    let all = endless().into_iter().enumerate();
    let tried: Vec<_> = all.filter(|(_, m)| TRIED.contains(&m.what)).collect();
    assert_eq!(tried.len(), TRIED.len());
    tried
}

/// The first test of this file, in a process that starts this module.
fn run_again(number: usize) -> Command {
    let mut command = Command::new(env::current_exe().expect("this executable"));
    let test = "hostile::interrupt::the_first_signal_ends_what_a_program_does";
    command.args(["--exact", test, "--nocapture"]);
    command.env(MODULE, number.to_string());
    command
}

fn start_until_interrupted(number: usize) {
    interrupt::install().expect("handlers");
    let engine = engine_with(EngineSettings {
        instances: 1,
        deadline: Duration::from_secs(3600),
        ..EngineSettings::default()
    });
    let module = endless().swap_remove(number);
    let loaded = match env::var_os(LIBRARY) {
        None => function(&engine, module.text(), grants()),
        Some(path) => {
            let wasm = wat::parse_str(module.text()).expect("a module");
            Function::from_library(&engine, "it", &wasm, path.as_ref(), grants()).expect("loaded")
        }
    };
    println!("{BEGUN}");
    let result = loaded.start(&mut Untimed);
    assert!(matches!(result, Err(StartError::Interrupted)), "{result:?}");
    println!("{INTERRUPTED}");
}

fn ends_at_a_signal(module: &Hostile, mut command: Command) {
    let child = command.stdout(Stdio::piped()).spawn().expect("this test");
    let mut child = Killed(child);
    let mut said = BufReader::new(child.0.stdout.take().expect("its output"));
    let mut line = String::new();
    // After what the test harness says.
    while !line.trim_end().ends_with(BEGUN) {
        line.clear();
        let read = said.read_line(&mut line).expect("a line");
        assert!(read > 0, "{}: it ended before it began", module.what);
    }
    thread::sleep(RUNS);
    kill(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGINT).expect("sent");
    let begun = Instant::now();
    while child.0.try_wait().expect("waited for").is_none() {
        assert!(begun.elapsed() < PATIENCE, "{} goes on", module.what);
        thread::sleep(Duration::from_millis(1));
    }
    let took = begun.elapsed();
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("its last words");
    assert!(rest.contains(INTERRUPTED), "{}: {rest}", module.what);
    println!(
        "{}: its process ended {took:?} after the signal",
        module.what
    );
}

/// Ends when this is dropped, however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
