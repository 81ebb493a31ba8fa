//! Engines of the user's own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use measure_core::contract::protocol::{Message, parse_line};
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::{Metric, phase};

use crate::tool::{can_run, code, host, run, samples, stderr, stdout};

/// A docker engine that a driver of its own holds, as somebody else's would be.
struct Elsewhere {
    driver: Child,
    /// Kept, as a driver that nobody listens to ends.
    _said: BufReader<ChildStdout>,
    url: String,
}

impl Elsewhere {
    fn start() -> Self {
        let driver = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name("docker-driver");
        let mut driver = Command::new(driver)
            .args(["hold", "1", "--gated", "--rung", "docker-none"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the driver starts");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let url = said.by_ref().lines().find_map(|line| {
            let Message::Scope { scope, .. } = parse_line(&line.ok()?).ok()? else {
                return None;
            };
            let mut words = scope.includes.split_whitespace();
            let url = words.find(|word| word.starts_with("unix://"))?;
            Some(url.trim_end_matches(':').to_owned())
        });
        let url = url.expect("a scope that names the engine");
        Self {
            driver,
            _said: said,
            url,
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.driver.stdin.take());
        let _ = self.driver.wait();
    }
}

#[test]
fn an_engine_elsewhere_is_weighed_with_its_containers() {
    let test = "an_engine_elsewhere_is_weighed_with_its_containers";
    let _host = host();
    if !can_run(test, "docker-driver", "docker-none") {
        return;
    }
    let elsewhere = Elsewhere::start();
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("run");
    let output = run(&[
        "mem",
        "--rungs",
        "docker-none",
        "--docker-host",
        &elsewhere.url,
        "--counts",
        "1,4",
        "--repetitions",
        "1",
        "--output",
        out.to_str().expect("a path"),
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run_json = std::fs::read_to_string(out.join("run.json")).expect("readable");
    assert!(run_json.contains("a foreign docker engine"), "{run_json}");
    assert!(run_json.contains("our containers"), "{run_json}");
    let parked = |workers: u64, metric: Metric| {
        let samples = samples(&out);
        let is_asked =
            |s: &&Sample| s.n == workers && s.metric == metric && s.phase == phase::PARKED;
        let of = samples.iter().filter(is_asked);
        of.filter_map(|s| s.value.number())
            .min()
            .expect("looked at")
    };
    // Each of three more has its shim and its program. Bytes tell less: the daemon's own memory moves by more on a busy host.
    let [one, four] = [1, 4].map(|workers| parked(workers, Metric::Processes));
    assert!(four >= one + 6, "{one} {four}");
    assert!(parked(4, Metric::PssBytes) > 0);
}

#[test]
fn an_engine_that_is_not_there_is_said_of_each_rung_that_would_use_it() {
    let _host = host();
    let output = run(&[
        "doctor",
        "--docker-host",
        "unix:///nonexistent.sock",
        "--firecracker",
        "/nonexistent/firecracker",
    ]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let said = stdout(&output);
    assert!(
        said.contains("no docker engine answers at unix:///nonexistent.sock"),
        "{said}"
    );
    assert!(
        said.contains("there is no file /nonexistent/firecracker"),
        "{said}"
    );
}
