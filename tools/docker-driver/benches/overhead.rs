//! One docker cold start through our driver against `docker run --rm` of the same image and network on
//! the same engine, interleaved; where the time goes, and whose CPU time it is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use driver_testkit::Running;
use driver_testkit::overhead::ratio_row;
use measure_core::base::clock::now_ns;
use measure_core::contract::Scope;
use measure_core::contract::protocol::StartSample;
use procfs::process::Process;

const AIM: f64 = 1.0;
/// The CLI of the engine's own package comes first: another may be newer and slower.
const PEERS: [&str; 2] = ["/usr/bin/docker", "/usr/local/bin/docker"];

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Our driver, which makes one start per line that it is sent.
struct Ours {
    driver: Running,
    scope: Scope,
}

impl Ours {
    fn start(rung: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-driver"));
        command.args(["time", "1", "--gated", "--rung", rung]);
        let mut driver = Running::start(command);
        let scope = driver.scope();
        driver.until_ready();
        Self { driver, scope }
    }

    fn cold_start(&mut self) -> Outcome<StartSample> {
        self.driver.go();
        let sample = self.driver.until_sample();
        self.driver.until_batch();
        sample.error.clone().map_or(Ok(sample), |e| Err(e.into()))
    }

    /// CPU time of the engine with all it started, and of the driver, in nanoseconds.
    fn cpu_ns(&self) -> Outcome<(u64, u64)> {
        let group = self
            .scope
            .cgroups
            .get("cpuacct")
            .ok_or("no cpuacct group")?;
        let client = Process::new(self.driver.pid())?.stat()?;
        // In steps of 10 ms, ended threads included.
        let client_ns = (client.utime + client.stime) * 1_000_000_000 / procfs::ticks_per_second();
        Ok((probes::cgroup::cpu_ns(group)?, client_ns))
    }
}

/// CPU time of children waited for, in nanoseconds.
fn children_cpu_ns() -> u64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
    usage.map_or(0, |usage| {
        [usage.user_time(), usage.system_time()]
            .iter()
            .map(|t| (t.tv_sec() * 1_000_000_000 + t.tv_usec() * 1000).unsigned_abs())
            .sum()
    })
}

fn docker_run(docker: &Path, host: &str, network: &str, image: &str) -> Outcome<u64> {
    let start = now_ns();
    let status = Command::new(docker)
        .args([
            "-H",
            host,
            "run",
            "--rm",
            "--network",
            network,
            image,
            "/function/demo/noop",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let elapsed = now_ns() - start;
    status
        .success()
        .then_some(elapsed)
        .ok_or_else(|| format!("docker run: {status}").into())
}

fn ms(ns: f64) -> f64 {
    ns / 1e6
}

fn median_ms(values: &[f64]) -> f64 {
    stats::median(values).map_or(f64::NAN, ms)
}

struct Costs {
    ours_engine: u64,
    ours_client: u64,
    peer_engine: u64,
    peer_client: u64,
}

fn compare(docker: &Path, rung: &str, network: &str, pairs: usize) -> Outcome<()> {
    let mut ours = Ours::start(rung);
    let word = |prefix: &str| -> Outcome<String> {
        let text = &ours.scope.includes;
        let at = text.find(prefix).ok_or("the scope does not say it")?;
        let end = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        let word = text[at..].split(end).next().unwrap_or_default();
        Ok(word.trim_end_matches(':').to_owned())
    };
    let (host, image) = (word("unix://")?, word("sha256:")?);
    for _ in 0..2 {
        ours.cold_start()?;
        docker_run(docker, &host, network, &image)?;
    }
    let (mut mine, mut theirs, mut phases) =
        (Vec::new(), Vec::new(), Vec::<(String, Vec<f64>)>::new());
    let mut costs = Costs {
        ours_engine: 0,
        ours_client: 0,
        peer_engine: 0,
        peer_client: 0,
    };
    for pair in 0..pairs {
        for side in 0..2 {
            let ((engine, client), children) = (ours.cpu_ns()?, children_cpu_ns());
            // Which side is first alternates, so that neither always finds the other's warmth.
            if (pair + side) % 2 == 0 {
                let sample = ours.cold_start()?;
                mine.push(sample.total_ns as f64);
                for (name, ns) in sample.phases {
                    match phases.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, values)) => values.push(ns as f64),
                        None => phases.push((name, vec![ns as f64])),
                    }
                }
                let now = ours.cpu_ns()?;
                costs.ours_engine += now.0 - engine;
                costs.ours_client += now.1.saturating_sub(client);
            } else {
                theirs.push(docker_run(docker, &host, network, &image)? as f64);
                costs.peer_engine += ours.cpu_ns()?.0 - engine;
                costs.peer_client += children_cpu_ns() - children;
            }
        }
    }
    ours.driver.end().expect(0);
    report(rung, &mine, &theirs, &phases, &costs);
    Ok(())
}

fn report(rung: &str, mine: &[f64], theirs: &[f64], phases: &[(String, Vec<f64>)], costs: &Costs) {
    let what = format!("{rung} cold start / docker run --rm");
    println!("{}", ratio_row(&what, AIM, mine, theirs));
    let phases: Vec<String> = phases
        .iter()
        .map(|(name, values)| format!("{name} {:.1} ms", median_ms(values)))
        .collect();
    let each = |ns: u64| ms(ns as f64) / mine.len() as f64;
    println!(
        "    phases (median): {}; CPU per start: engine {:.1} ms (docker run {:.1}), client {:.1} ms (docker CLI {:.1})",
        phases.join(", "),
        each(costs.ours_engine),
        each(costs.peer_engine),
        each(costs.ours_client),
        each(costs.peer_client),
    );
}

fn peer() -> Option<PathBuf> {
    PEERS.iter().map(PathBuf::from).find(|path| path.is_file())
}

fn main() {
    let Some(docker) = peer() else {
        eprintln!("SKIPPED: docker run --rm: no docker CLI, apt-get install docker.io");
        return;
    };
    let version = Command::new(&docker).arg("--version").output();
    let version = version.map_or_else(
        |e| e.to_string(),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    );
    println!("peer: {version}");
    let pairs = env::var("PAIRS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(30);
    for (rung, network) in [
        ("docker-none", "none"),
        ("docker-host", "host"),
        ("docker-bridge", "bridge"),
    ] {
        if let Err(error) = compare(&docker, rung, network, pairs) {
            eprintln!("SKIPPED: {rung}: {error}");
        }
    }
}
