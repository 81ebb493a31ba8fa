//! Engines of the user's own.

use std::path::Path;

use driver_testkit::EngineElsewhere;
use measure_core::contract::sample::Sample;
use measure_core::contract::vocabulary::{Metric, phase};

use crate::tool::{can_run, code, host, run, samples, stderr, stdout};

#[test]
fn an_engine_elsewhere_is_weighed_with_its_containers() {
    let test = "an_engine_elsewhere_is_weighed_with_its_containers";
    let _host = host();
    if !can_run(test, "docker-driver", "docker-none") {
        return;
    }
    let driver = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name("docker-driver");
    let elsewhere = EngineElsewhere::start(&driver, "docker-none");
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
