//! A reader that goes away ends the tool quietly.

use std::fs;
use std::process::Command;

use driver_testkit::closed_pipe;

fn runtime_bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runtime_bench"));
    command.args(arguments);
    command
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    closed_pipe::ends_quietly(&mut runtime_bench(&["--help"]));
    closed_pipe::ends_quietly(&mut runtime_bench(&["doctor"]));

    let run = tempfile::tempdir().expect("a directory");
    let sample = r#"{"schema":1,"run":"r","rung":"thread","function":"demo/noop","measure":"start","phase":"total","metric":"wall_ns","value":9000,"n":1,"workers":1,"block":0,"order":0,"seed":7}"#;
    fs::write(run.path().join("samples.jsonl"), format!("{sample}\n")).expect("written");
    let dir = run.path().to_str().expect("plain");
    closed_pipe::ends_quietly(&mut runtime_bench(&["report", dir]));
    assert!(run.path().join("report.md").exists(), "the tables are made");
}
