//! What each native rung costs on top of the barest loop that does the same: pthread create and join, a
//! hand-off to a waiting thread and back, posix_spawn and waitpid. The two sides take turns, on one CPU:
//! where the scheduler puts a woken thread (beside its waker or on a sleeping CPU) would otherwise decide the
//! ratio, and it decides anew for each thread.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, Thread};

use driver_testkit::overhead::{pin_to_one_cpu, ratio_row};
use measure_core::base::clock::{Phases, now_ns};
use measure_core::base::home;
use measure_core::base::ids::FunctionId;
use measure_core::base::label;
use measure_core::contract::Probe;
use measure_core::driver_kit::{Plan, Purpose, Rung};
use process_driver::pooled::PooledRung;
use process_driver::process::ProcessRung;
use process_driver::runtimes::{Catalogue, RuntimeRung};
use process_driver::store::Store;
use process_driver::thread::{STACK_BYTES, ThreadRung};
use stats::median;

const WARMUP: usize = 100;
const AIM: f64 = 1.1;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let function: FunctionId = "demo/noop".parse()?;
    let plan = Plan {
        function: function.clone(),
        workers: 1,
        purpose: Purpose::Time,
    };
    pin_to_one_cpu()?;
    let mut rung = ThreadRung::default();
    rung.prepare(&plan)?;
    compare(
        "thread / pthread create + join",
        &rung,
        &mut bare_thread,
        4000,
    )?;

    let mut rung = PooledRung::default();
    rung.prepare(&plan)?;
    let bare = BareWaiting::start();
    let mut hand_off = || {
        bare.hand_off();
        Ok(())
    };
    compare(
        "thread-pooled / bare hand-off",
        &rung,
        &mut hand_off,
        20_000,
    )?;
    bare.stop();

    let store = Store::at(home::store());
    let mut rung = ProcessRung::new(store.clone());
    if let Probe::Unavailable { why, mend } = rung.probe() {
        println!("SKIPPED: process / posix_spawn + waitpid: {why}; {mend}");
        return Ok(());
    }
    let program = store.executable(&function)?;
    let program = CString::new(program.path().as_os_str().as_bytes())?;
    rung.prepare(&plan)?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let mut bare = || bare_process(&program, null.as_raw_fd());
    compare("process / posix_spawn + waitpid", &rung, &mut bare, 2000)?;
    drop(rung);
    runc(&plan)
}

/// Rounds of `runc run` by each side, and starts of a round: it varies so much that fewer leave five per cent open.
const RUNC_ROUNDS: usize = 60;
const RUNC_STARTS: usize = 10;
const RUNC_AIM: f64 = 1.05;

/// `runc run` by the rung against the same command, bundle and CPU under `hyperfine -N`, in turns.
fn runc(plan: &Plan) -> Outcome<()> {
    const WHAT: &str = "runc / hyperfine -N 'runc run'";
    let catalogue = Catalogue::load(None, &[])?;
    let entry = catalogue.entry("runc").ok_or("no entry runc")?.clone();
    let mut rung = RuntimeRung::new(entry, Store::at(home::store()));
    if let Probe::Unavailable { why, mend } = rung.probe() {
        println!("SKIPPED: {WHAT}: {why}; {mend}");
        return Ok(());
    }
    rung.prepare(plan)?;
    let state = home::state()
        .join("runtimes")
        .join(label::name(std::process::id().cast_signed(), "runc"));
    let state = state.display();
    let command = format!("runc --root {state}/containers run --bundle {state}/bundle-0 hyperfine");
    let times = format!("{state}/hyperfine.json");
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for round in 0..RUNC_ROUNDS {
        for turn in 0..2 {
            if (turn + round) % 2 == 0 {
                for _ in 0..RUNC_STARTS {
                    ours.push(rung.cold_start(0)?.total_ns as f64);
                }
                continue;
            }
            let runs = RUNC_STARTS.to_string();
            let ran = std::process::Command::new("hyperfine")
                .args([
                    "-N",
                    "--style",
                    "none",
                    "--runs",
                    &runs,
                    "--export-json",
                    &times,
                    &command,
                ])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status();
            let Ok(status) = ran else {
                println!("SKIPPED: {WHAT}: no hyperfine; apt-get install hyperfine");
                return Ok(());
            };
            if !status.success() {
                return Err(format!("`{command}` fails under hyperfine").into());
            }
            let said: serde_json::Value = serde_json::from_slice(&std::fs::read(&times)?)?;
            let seconds = said["results"][0]["times"].as_array().ok_or("no times")?;
            peer.extend(seconds.iter().filter_map(|s| Some(s.as_f64()? * 1e9)));
        }
    }
    println!("{}", ratio_row(WHAT, RUNC_AIM, &ours, &peer));
    Ok(())
}

/// Lets both sides take turns, first one, then the other leading, and prints their ratio and the phases.
fn compare(
    what: &str,
    rung: &dyn Rung,
    bare: &mut dyn FnMut() -> io::Result<()>,
    rounds: usize,
) -> Outcome<()> {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let mut phases: BTreeMap<usize, (&str, Vec<f64>)> = BTreeMap::new();
    for round in 0..WARMUP + rounds {
        let (mut start, mut theirs) = (None, 0);
        for turn in 0..2 {
            let before = now_ns();
            if (turn + round) % 2 == 0 {
                let done: Phases = rung.cold_start(0)?;
                start = Some((done, now_ns() - before));
            } else {
                bare()?;
                theirs = now_ns() - before;
            }
        }
        let Some((done, mine)) = start.filter(|_| round >= WARMUP) else {
            continue;
        };
        ours.push(mine as f64);
        peer.push(theirs as f64);
        for (i, (name, ns)) in done.phases.into_iter().enumerate() {
            let (_, values) = phases.entry(i).or_insert((name, Vec::new()));
            values.push(ns as f64);
        }
    }
    println!("{}", ratio_row(what, AIM, &ours, &peer));
    let us = |values: &[f64]| median(values).unwrap_or(f64::NAN) / 1e3;
    let parts: Vec<_> = phases
        .values()
        .map(|(name, values)| format!("{name} {:.2} us", us(values)))
        .collect();
    println!("    phases: {}", parts.join(", "));
    Ok(())
}

fn checked(code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

extern "C" fn nothing(_: *mut c_void) -> *mut c_void {
    ptr::null_mut()
}

/// A thread with the rung's stack size that does nothing.
fn bare_thread() -> io::Result<()> {
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: `attributes` is initialised before it is used and destroyed after; `thread` is joined once.
    unsafe {
        checked(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
        checked(libc::pthread_attr_setstacksize(
            attributes.as_mut_ptr(),
            STACK_BYTES,
        ))?;
        let attr = attributes.as_mut_ptr();
        checked(libc::pthread_create(
            thread.as_mut_ptr(),
            attr,
            nothing,
            ptr::null_mut(),
        ))?;
        checked(libc::pthread_join(thread.assume_init(), ptr::null_mut()))?;
        checked(libc::pthread_attr_destroy(attr))
    }
}

const IDLE: u32 = 0;
const GO: u32 = 1;
const STOP: u32 = 2;

/// A waiting thread, woken by the same primitive as the rung's, that does nothing.
struct BareWaiting {
    state: Arc<AtomicU32>,
    thread: thread::JoinHandle<()>,
}

fn wait_until(state: &AtomicU32, wanted: impl Fn(u32) -> bool) -> u32 {
    loop {
        let now = state.load(Ordering::Acquire);
        if wanted(now) {
            return now;
        }
        thread::park();
    }
}

impl BareWaiting {
    fn start() -> Self {
        let state = Arc::new(AtomicU32::new(IDLE));
        let (theirs, caller): (_, Thread) = (state.clone(), thread::current());
        let thread = thread::spawn(move || {
            while wait_until(&theirs, |s| s != IDLE) == GO {
                theirs.store(IDLE, Ordering::Release);
                caller.unpark();
            }
        });
        Self { state, thread }
    }

    fn hand_off(&self) {
        self.state.store(GO, Ordering::Release);
        self.thread.thread().unpark();
        wait_until(&self.state, |s| s == IDLE);
    }

    fn stop(self) {
        self.state.store(STOP, Ordering::Release);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}

/// `posix_spawn` with the same streams and environment as the rung, and `waitpid`.
fn bare_process(program: &CString, null: RawFd) -> io::Result<()> {
    let argv = [program.as_ptr().cast_mut(), ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let (mut pid, mut status) = (0, 0);
    let mut actions = MaybeUninit::uninit();
    // SAFETY: `actions` is initialised before it is used and destroyed after; the arrays end with null and
    // outlive the call.
    unsafe {
        checked(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
        for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
            let actions = actions.as_mut_ptr();
            checked(libc::posix_spawn_file_actions_adddup2(
                actions, null, stream,
            ))?;
        }
        checked(libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            actions.as_ptr(),
            ptr::null(),
            argv.as_ptr(),
            envp.as_ptr(),
        ))?;
        checked(libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr()))?;
        if libc::waitpid(pid, &raw mut status, 0) != pid {
            return Err(io::Error::last_os_error());
        }
    }
    checked(libc::WEXITSTATUS(status))
}
