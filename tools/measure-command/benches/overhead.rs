//! What measure-core itself adds to the wall time of an empty payload: beside a bare posix_spawn and
//! wait4 loop, and beside `hyperfine -N`, interleaved in one run.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr;
use std::time::Instant;

use measure_core::base::clock::now_ns;
use stats::{Summary, median};

/// Interleaved rounds; each gives one ratio.
const ROUNDS: usize = 40;
/// Starts per side and round.
const STARTS: usize = 100;
/// A new process is slower at first; long enough for all three to be past that.
const WARMUP: usize = 100;

/// The rows beside a peer, and what they read without it.
const ONE_COMMAND: &str = "empty payload under measure-core / hyperfine -N";
const TWO_COMMANDS: &str =
    "two commands, a run with all that lies between two, measure-core / hyperfine -N";
const NO_HYPERFINE: &str = "unavailable: no hyperfine on PATH: apt-get install hyperfine";

/// Makes this program the bare loop: `overhead --bare-loop PAYLOAD`.
const BARE_LOOP: &str = "--bare-loop";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, payload] = &words[..]
        && flag == BARE_LOOP
    {
        let (whole, spawn) = bare_loop(Path::new(payload));
        return println!("{whole} {spawn}");
    }
    let dir = std::env::temp_dir().join(format!("measure-core-overhead-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a temporary directory");
    let payload = payload(&dir);
    println!("payload: {}", payload.what);
    let hyperfine = has_hyperfine();
    let mut rounds = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        rounds.push(one_round(&payload.path, round, hyperfine, &dir));
    }
    report(&rounds, hyperfine);
    if hyperfine {
        two_commands(&payload.path);
    } else {
        println!("{TWO_COMMANDS}: {NO_HYPERFINE}");
    }
    let _ = fs::remove_dir_all(&dir);
}

struct Payload {
    path: PathBuf,
    what: &'static str,
}

/// The static no-op, compiled now; without a compiler /bin/true, for all sides alike.
fn payload(dir: &Path) -> Payload {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/noop.c");
    let path = dir.join("noop");
    for (compiler, what) in [
        ("musl-gcc", "static no-op (musl)"),
        ("cc", "static no-op (glibc)"),
    ] {
        let built = Command::new(compiler)
            .args(["-O3", "-static", "-o"])
            .args([&path, &source])
            .stderr(Stdio::null())
            .status();
        if built.is_ok_and(|status| status.success()) {
            return Payload { path, what };
        }
    }
    Payload {
        path: PathBuf::from("/bin/true"),
        what: "/bin/true (no C compiler here)",
    }
}

fn has_hyperfine() -> bool {
    Command::new("hyperfine")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Medians of one round, in nanoseconds.
struct Round {
    bare: f64,
    bare_spawn: f64,
    ours: f64,
    hyperfine: Option<f64>,
}

fn one_round(payload: &Path, round: usize, hyperfine: bool, dir: &Path) -> Round {
    let (mut bare, mut ours, mut peer) = (None, None, None);
    // Each side is first, second and last equally often.
    for turn in 0..3 {
        match (round + turn) % 3 {
            0 => bare = Some(bare_process(payload)),
            1 => ours = Some(measure_core(payload)),
            _ if hyperfine => peer = Some(hyperfine_run(payload, &dir.join("hyperfine.json"))),
            _ => {}
        }
    }
    let (bare, bare_spawn) = bare.expect("each side had its turn");
    Round {
        bare,
        bare_spawn,
        ours: ours.expect("each side had its turn"),
        hyperfine: peer,
    }
}

/// The bare loop in a process of its own, as both others are: a process that has run for long is
/// scheduled differently from one just started.
fn bare_process(payload: &Path) -> (f64, f64) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg(BARE_LOOP)
        .arg(payload)
        .env_clear()
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
    let mut next = || numbers.next().expect("a median");
    (next(), next())
}

/// The least that starts a process and waits for it: medians of the whole and of the spawn alone.
fn bare_loop(payload: &Path) -> (f64, f64) {
    let path = CString::new(payload.to_str().expect("a plain path")).expect("no NUL");
    let argv = [path.as_ptr().cast_mut(), ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let mut whole = Vec::with_capacity(STARTS);
    let mut spawn = Vec::with_capacity(STARTS);
    for start in 0..WARMUP + STARTS {
        let (mut child, mut status) = (0, 0);
        // SAFETY: plain data for which all zeroes are a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let begun = now_ns();
        // SAFETY: all pointers are to live, terminated arrays and strings.
        let failed = unsafe {
            libc::posix_spawn(
                &mut child,
                path.as_ptr(),
                ptr::null(),
                ptr::null(),
                argv.as_ptr(),
                envp.as_ptr(),
            )
        };
        let spawned = now_ns();
        // SAFETY: both pointers are to live values.
        let waited = unsafe { libc::wait4(child, &mut status, 0, &mut usage) };
        let ended = now_ns();
        assert!(
            failed == 0 && waited == child && status == 0,
            "the payload failed"
        );
        if start >= WARMUP {
            whole.push((ended - begun) as f64);
            spawn.push((spawned - begun) as f64);
        }
    }
    (
        median(&whole).expect("starts"),
        median(&spawn).expect("starts"),
    )
}

fn measure_core(payload: &Path) -> f64 {
    let output = Command::new(env!("CARGO_BIN_EXE_measure-core"))
        .args(["--passes", "wall", "--json", "-"])
        .args([
            "-n",
            &STARTS.to_string(),
            "--warmup",
            &WARMUP.to_string(),
            "--",
        ])
        .arg(payload)
        .env_clear()
        .stderr(Stdio::null())
        .output()
        .expect("measure-core starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let metrics = report["metrics"].as_array().expect("a list");
    let wall = metrics
        .iter()
        .find(|metric| metric["name"] == "wall_ns")
        .expect("the wall time");
    wall["summary"]["median"].as_f64().expect("a number")
}

fn hyperfine_run(payload: &Path, file: &Path) -> f64 {
    let status = Command::new("hyperfine")
        .args(["-N", "--style", "none", "--export-json"])
        .arg(file)
        .args([
            "--runs",
            &STARTS.to_string(),
            "--warmup",
            &WARMUP.to_string(),
        ])
        .arg(payload)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("hyperfine starts");
    assert!(status.success(), "hyperfine failed");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(file).expect("its report")).expect("JSON");
    let times: Vec<f64> = report["results"][0]["times"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(serde_json::Value::as_f64)
        .map(|seconds| seconds * 1e9)
        .collect();
    median(&times).expect("starts")
}

/// Runs of each of two commands, few and many: what many take longer is that of the runs alone, as both tools do things once.
const RUNS_OF_TWO: [u32; 2] = [100, 1100];
const ROUNDS_OF_TWO: usize = 10;

/// What a run takes of a tool's time with two commands, all that lies between runs included.
fn two_commands(payload: &Path) {
    let payload = payload.to_str().expect("a plain path");
    let elapsed_us = |command: &mut Command, runs: u32| {
        let begun = Instant::now();
        let status = command
            .arg(runs.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it starts");
        assert!(status.success(), "{command:?}");
        begun.elapsed().as_secs_f64() * 1e6
    };
    let ours = |runs| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_measure-core"));
        command.args([
            "--passes",
            "wall",
            "--command",
            payload,
            "--command",
            payload,
        ]);
        elapsed_us(command.arg("-n"), runs)
    };
    let theirs = |runs| {
        let mut command = Command::new("hyperfine");
        command.args(["-N", "--style", "none", payload, payload]);
        elapsed_us(command.arg("-r"), runs)
    };
    let [few, many] = RUNS_OF_TWO;
    let each = |tool: &dyn Fn(u32) -> f64| (tool(many) - tool(few)) / f64::from(2 * (many - few));
    let pairs: Vec<(f64, f64)> = (0..ROUNDS_OF_TWO)
        .map(|round| {
            if round % 2 == 0 {
                return (each(&ours), each(&theirs));
            }
            let theirs = each(&theirs);
            (each(&ours), theirs)
        })
        .collect();
    summarise(TWO_COMMANDS, 1.00, &pairs);
}

fn report(rounds: &[Round], hyperfine: bool) {
    let ours = |r: &Round| Some(r.ours);
    line(
        "empty payload under measure-core / bare posix_spawn + wait4",
        1.10,
        rounds,
        ours,
        |r| Some(r.bare),
    );
    if hyperfine {
        line(ONE_COMMAND, 1.00, rounds, ours, |r| r.hyperfine);
    } else {
        println!("{ONE_COMMAND}: {NO_HYPERFINE}");
    }
    let of = |value: fn(&Round) -> f64| {
        median(&rounds.iter().map(value).collect::<Vec<_>>()).unwrap_or(f64::NAN) / 1000.0
    };
    println!(
        "phases: bare posix_spawn {:.1} us (returns when the child has execed), wait4 {:.1} us; measure-core adds {:.1} us: descriptors, process group and signal defaults of the child",
        of(|r| r.bare_spawn),
        of(|r| r.bare - r.bare_spawn),
        of(|r| r.ours - r.bare),
    );
}

fn line(
    what: &str,
    aim: f64,
    rounds: &[Round],
    ours: impl Fn(&Round) -> Option<f64>,
    peer: impl Fn(&Round) -> Option<f64>,
) {
    let pairs: Vec<(f64, f64)> = rounds
        .iter()
        .filter_map(|round| ours(round).zip(peer(round)))
        .collect();
    let in_us: Vec<(f64, f64)> = pairs.iter().map(|(o, p)| (o / 1e3, p / 1e3)).collect();
    summarise(what, aim, &in_us);
}

/// A line of pairs of microseconds, ours and the peer's.
fn summarise(what: &str, aim: f64, pairs: &[(f64, f64)]) {
    // One ratio per round: what slows both sides of a round cancels out.
    let ratios: Vec<f64> = pairs.iter().map(|(ours, peer)| ours / peer).collect();
    let us = |values: Vec<f64>| median(&values).unwrap_or(f64::NAN);
    let Some((summary, interval)) =
        Summary::from_values(&ratios).and_then(|s| s.interval.map(|i| (s, i)))
    else {
        return println!("{what}: no ratio");
    };
    println!(
        "{what}: {:.3} [{:.3}, {:.3}] (aim <= {aim:.2}) ours {:.1} us peer {:.1} us n={}",
        summary.median,
        interval.lo,
        interval.hi,
        us(pairs.iter().map(|p| p.0).collect()),
        us(pairs.iter().map(|p| p.1).collect()),
        pairs.len(),
    );
}
