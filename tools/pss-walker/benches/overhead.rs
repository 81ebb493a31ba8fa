//! What finding the processes of a tree and adding them up costs on top of the bare reads, and how that
//! stands against `ps_mem` and `smem`. One tree of 500 processes; all sides take turns in one run.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use driver_testkit::overhead::ratio_row;
use measure_core::base::clock::now_ns;
use measure_core::base::programs::on_path;
use probes::memory::Sampler;
use procfs::process::Process;
use stats::median;

const PROCESSES: usize = 500;
const ROUNDS: usize = 41;
/// The peers are Python and slow: they take part in every eighth round.
const PEER_EVERY: usize = 8;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[path = "../../../crates/probes/tests/support/sleepers.rs"]
mod sleepers;
use sleepers::Sleepers;

/// Open, read and close of every file, and nothing else.
fn bare_loop(paths: &[PathBuf], buffer: &mut [u8]) -> Outcome<()> {
    for path in paths {
        let length = File::open(path)?.read(buffer)?;
        black_box(&buffer[..length]);
    }
    Ok(())
}

fn walk_of(sampler: &mut Sampler, root: i32) -> Outcome<()> {
    black_box(sampler.sample_trees(&[root]));
    Ok(())
}

/// The library that reading and parsing `smaps_rollup` ourselves stands in for.
fn read_by_procfs(pids: &[i32]) -> Outcome<()> {
    for &pid in pids {
        black_box(Process::new(pid)?.smaps_rollup()?);
    }
    Ok(())
}

fn timed(run: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let start = now_ns();
    run()?;
    Ok((now_ns() - start) as f64)
}

fn quiet(command: &mut Command) -> Outcome<()> {
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{command:?} ended with {status}").into())
}

/// A peer's command over the tree, or the line that says how to get it.
fn peer(name: &str, install: &str, args: &[&str]) -> Option<Command> {
    let Some(path) = on_path(name) else {
        println!("peer absent: {name}, install with {install}");
        return None;
    };
    let mut command = Command::new(path);
    command.args(args);
    Some(command)
}

fn line(what: &str, aim: f64, ours: &[f64], theirs: &[f64]) {
    println!("{}", ratio_row(what, aim, ours, theirs));
}

#[derive(Default)]
struct Times {
    bare: Vec<f64>,
    walk: Vec<f64>,
    finding: Vec<f64>,
    reading: Vec<f64>,
    tree_by_stat: Vec<f64>,
    host: Vec<f64>,
    host_by_stat: Vec<f64>,
    procfs: Vec<f64>,
    executable: Vec<f64>,
    ps_mem: Vec<f64>,
    smem: Vec<f64>,
}

fn main() -> Outcome<()> {
    let tree = Sleepers::start(PROCESSES - 1);
    let root = tree.root();
    let paths: Vec<PathBuf> = tree
        .pids
        .iter()
        .map(|pid| PathBuf::from(format!("/proc/{pid}/smaps_rollup")))
        .collect();
    let mut buffer = vec![0; 4096];
    let mut sampler = Sampler::new()?;
    let mut by_stat = Sampler::by_stat()?;
    let list: Vec<String> = tree.pids.iter().map(ToString::to_string).collect();
    let list = list.join(",");
    let mut ps_mem = peer("ps_mem", "pip", &["-p", &list]);
    // Only what the tree consists of: a filter by parent does not exist there.
    let mut smem = peer("smem", "apt", &["-H", "-P", "^(sleep 600|sh -c for i in)"]);
    let mut times = Times::default();
    for round in 0..ROUNDS {
        let bare = timed(|| bare_loop(&paths, &mut buffer))?;
        let start = now_ns();
        let walk = sampler.sample_trees(&[root]);
        let walked = (now_ns() - start) as f64;
        if walk.processes.len() != PROCESSES {
            return Err(format!("{} processes in the tree", walk.processes.len()).into());
        }
        let (tree_by_stat, host_by_stat) = (
            timed(|| walk_of(&mut by_stat, root))?,
            timed(|| walk_of(&mut by_stat, 1))?,
        );
        let host = timed(|| walk_of(&mut sampler, 1))?;
        let library = timed(|| read_by_procfs(&tree.pids))?;
        let executable =
            timed(|| quiet(Command::new(env!("CARGO_BIN_EXE_pss-walker")).arg(root.to_string())))?;
        // The first round fills the kernel's caches of /proc entries.
        if round == 0 {
            continue;
        }
        times.bare.push(bare);
        times.walk.push(walked);
        times.finding.push((walk.found_ns - walk.start_ns) as f64);
        times.reading.push((walk.end_ns - walk.found_ns) as f64);
        times.executable.push(executable);
        times.tree_by_stat.push(tree_by_stat);
        times.host.push(host);
        times.host_by_stat.push(host_by_stat);
        times.procfs.push(library);
        if round % PEER_EVERY == 1 {
            for (command, into) in [
                (&mut ps_mem, &mut times.ps_mem),
                (&mut smem, &mut times.smem),
            ] {
                if let Some(command) = command {
                    into.push(timed(|| quiet(command))?);
                }
            }
        }
    }
    report(&times, sampler.source());
    Ok(())
}

fn report(times: &Times, source: &str) {
    let over = |what: &str| format!("{what}, {PROCESSES} processes of one tree");
    line(
        &over("walk by one thread / open+read+close"),
        1.3,
        &times.walk,
        &times.bare,
    );
    line(
        &over("pss-walker / open+read+close"),
        1.3,
        &times.executable,
        &times.bare,
    );
    line(
        &over("smaps_rollup read and parsed / by procfs"),
        1.0,
        &times.reading,
        &times.procfs,
    );
    line(
        &over(&format!("walk with processes found by {source} / by stat")),
        0.9,
        &times.walk,
        &times.tree_by_stat,
    );
    line(
        &format!("walk with processes found by {source} / by stat, all processes of the host"),
        0.9,
        &times.host,
        &times.host_by_stat,
    );
    if !times.ps_mem.is_empty() {
        line(
            &over("pss-walker / ps_mem"),
            1.0 / 3.0,
            &times.executable,
            &times.ps_mem,
        );
    }
    if !times.smem.is_empty() {
        line(
            &over("pss-walker / smem"),
            0.1,
            &times.executable,
            &times.smem,
        );
    }
    let ms = |values| median(values).unwrap_or(f64::NAN) / 1e6;
    println!(
        "phases of a walk by one thread: find {:.2} ms (by {source}), read and parse {:.2} ms; pss-walker reads with a thread per CPU, up to 4",
        ms(&times.finding),
        ms(&times.reading)
    );
}
